# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Internal: carries out the roles and the playbook ``unassign_report``. Use those, not this action.

It runs in the process of the Ansible worker, so it imports the SDK once, and keeps connections, pace and ledger over all waves.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.alicloud_ops.network.plugins.module_utils._caller import Caller
from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import Ecs
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import SdkMissing
from ansible_collections.alicloud_ops.network.plugins.module_utils._options import connection_spec
from ansible_collections.alicloud_ops.network.plugins.module_utils._result import build_failure, build_refusal
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._bulk import BulkRun, CallerGone
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import DocumentError, plain
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._evidence import read_evidence
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._folder import Folder, FolderError, default_folder, read_text
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._format import fold_lines
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._handover import RECIPE, outcome_name
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._last_step import PREFIXES, LastStep, read_last_step
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._report import STATE_OF
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._sending import secrets_of, send
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._settings import Settings, SettingsError, read_settings
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._variables import find_encrypted, name_questions

CHANGE_MODULE = "alicloud_ops.network.eni_secondary_ip"
MERGE = "merge"
MASK = "********"
SECONDS_BETWEEN_CHECKS, SECONDS_TO_CLOSE = 0.5, 5.0  # to notice that the play has ended, and to end this process
SECONDS_TO_TAKE = 300  # after which a line that the play has not taken counts as never shown
SECONDS_TO_SHOW = 0.02  # from the moment when the play takes a line until it shows the line


@contextlib.contextmanager
def _ending_with(caller: Caller) -> Iterator[None]:
    """End this process a few seconds after the play has ended. Otherwise a line that nobody reads, or a pause, would keep the process
    and the lock of its plan. That is safe, because at any time the recipe on the disk names every possible write."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(SECONDS_BETWEEN_CHECKS):
            if not caller.is_waiting() and not ended.wait(SECONDS_TO_CLOSE):
                os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _wait_until_shown(caller: Caller) -> None:
    """A worker passes its lines to the play, which may be killed before it shows them. But the output of a job may be the only recipe
    that is left. So the run writes nothing until the play has taken the lines and is still alive."""
    queue = getattr(Display(), "_final_q", None)
    deadline = time.monotonic() + SECONDS_TO_TAKE
    while queue is not None and not queue.empty() and caller.is_waiting():
        if time.monotonic() > deadline:  # for example, the program that reads the output of the play has ended
            raise CallerGone(f"the play has shown no line for {SECONDS_TO_TAKE} s, so nobody may see the restore recipe")
        time.sleep(SECONDS_TO_SHOW / 5)
    time.sleep(SECONDS_TO_SHOW)
    caller.check_next_time()


def _send_report(settings: Settings, folder: Folder, files: Mapping[str, str]) -> list[str]:
    """One line for each file, sent or not."""
    if not settings.report_url:
        return []
    if folder.encrypts():
        return ["The report was not sent, because the plan or recipe is encrypted with Ansible Vault."]
    texts = {}
    for kind in ("json", "html"):
        name = Path(files.get(kind, "")).name
        with contextlib.suppress(FolderError):
            if name and (text := folder.read(name)):
                texts[kind] = (name, text)
    return send(settings.report_url, texts) or ["The report was not sent, because it could not be written."]


def _is_awx(task_vars: Mapping[str, Any]) -> bool:
    """AWX sets these variables in each job, and no user can."""
    return "awx_job_id" in task_vars or "tower_job_id" in task_vars


def _find_replaced(earlier: Any, made: Mapping[str, Any]) -> list[str]:
    """A warning if this run replaces artifacts of an earlier run in the same job. ``earlier``: the result of that run."""
    if not isinstance(earlier, Mapping) or earlier.get("digest") in (None, made["digest"]):
        return []
    names = [name for name in earlier.get("published") or () if name in made["published"]]
    has_recipe = RECIPE in names
    text = (
        f"Later jobs do not get what this job published before for {earlier['region']}, digest {earlier['digest']}, because this run "
        f"publishes the same names: {', '.join(names)}. "
        + "To undo that run, use its recipe lines in this output. " * has_recipe
        + "Launch a job for each region and plan."
    )
    return [text] if names else []


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Mapping[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        operation = {"type": "str", "required": True, "choices": [*STATE_OF, MERGE]}
        self.validate_argument_spec(argument_spec={"operation": operation, **connection_spec()})
        # The other arguments of the task come from module_defaults of the action group. The validated ones have defaults as well.
        shared = dict(self._task.args)
        chosen = str(shared.pop("operation"))
        with self._environment() as environ:
            if chosen == MERGE:
                made = self._merge(task_vars or {}, environ)
            else:
                made = self._run(f"{chosen}_secondary_ips", shared, task_vars or {}, environ)
        if self._task.no_log:
            made.pop("published", None)  # nothing censors what set_stats shows
        return {**result, "changed": False, **made}

    def _run(self, role: str, shared: Mapping[str, Any], task_vars: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
        prefix, in_awx = f"{role}_", _is_awx(task_vars)
        # As one mapping, because templating leaves omitted values out of a mapping.
        variables = self._templar.template({name: value for name, value in task_vars.items() if name.startswith(prefix)})
        defaults = {**shared, **self._change_defaults()}
        hosts = plain(task_vars.get("ansible_play_hosts_all") or [])
        once = bool(self._task.run_once)
        if once and task_vars.get("inventory_hostname") not in plain(task_vars.get("ansible_play_hosts") or [])[:1]:
            # A strategy without run_once, or a later batch of a play with serial. One host does the work of all.
            return {"skipped": True, "changed": False, "skip_reason": "another host of this play does the work of all"}
        try:
            if len(hosts) > 1 and not once:
                # Each host would make a run of its own, and the files and artifacts of one run would replace those of the others.
                what = "use one host, such as localhost, or run_once (with include_role: in apply)"
                raise SettingsError([f"hosts: this role works on the cloud, not on hosts; {what}; the play has {hosts}"])
            settings = read_settings(role, variables, defaults, environ, partial(read_text, self._loader))
        except SettingsError as error:
            errors = [*map(name_questions, error.errors)] if in_awx else error.errors
            outcome = {"outcome": "refused"}
            published = {outcome_name(role.removesuffix("_secondary_ips")): outcome}
            return {"failed": True, **build_refusal(errors), **outcome, "published": published}
        secrets: set[str] = set()
        settings.connection.credential.report_secrets_to(secrets.update)
        secrets.update(secrets_of(settings.report_url or ""))

        def mask(text: str) -> str:
            for secret in sorted(secrets, key=len, reverse=True):
                text = text.replace(secret, MASK)
            return text

        caller = Caller(output=None)
        try:
            ecs = Ecs(settings.connection, caller.is_waiting)
        except SdkMissing as error:
            return {"failed": True, **build_failure(error)}
        evidence = read_evidence(settings.guests, task_vars, self._loader) if settings.guests else None
        shown = partial(_wait_until_shown, caller)
        folder = Folder(settings.report_dir or default_folder(environ), self._loader, like=settings.saved_path)
        # Not ansible_check_mode, which is the mode of the play: a task, block or role may be in another mode.
        check_mode = bool(self._task.check_mode)
        run = BulkRun(settings, ecs, folder, self._show, mask, check_mode=check_mode, evidence=evidence, shown=shown, in_awx=in_awx)
        with _ending_with(caller):
            made = run.run()
            for line in fold_lines(_send_report(settings, folder, made["files"])):
                self._show(line)
        if in_awx and not self._task.no_log:
            made["warnings"] = _find_replaced(task_vars.get(f"{role}_result"), made)
        return made

    def _merge(self, task_vars: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
        """The last step of a workflow: one report and one recipe of all that earlier jobs published."""
        found = {name: self._templar.template(value) for name, value in task_vars.items() if name.startswith(PREFIXES)}
        try:
            if encrypted := find_encrypted(found):
                raise DocumentError("; ".join(encrypted))
            step = read_last_step(plain(found))
        except DocumentError as error:
            return {"failed": True, "msg": name_questions(str(error)) if _is_awx(task_vars) else str(error)}
        self._write_files(step, Folder(step.report_dir or default_folder(environ), self._loader))
        lines = step.lines()
        if step.report_url:
            lines += fold_lines(send(step.report_url, {kind: text for kind, text in step.files.items() if kind in ("json", "html")}))
        for line in lines:
            self._show(line)
        return step.result()

    def _write_files(self, step: LastStep, folder: Folder) -> None:
        """A folder that cannot be written to is a note of the report, and does not change the outcome."""
        try:
            folder.prove_writable()
            for kind, (name, text) in step.files.items():
                step.report["files"][kind] = str(folder.write(name, text))
        except FolderError as error:
            step.notes.append(f"The report could not be written: {error}")

    def _show(self, line: str) -> None:
        if not self._task.no_log:
            Display().display(line)

    def _change_defaults(self) -> dict[str, Any]:
        """What the play sets for the change module: the roles keep to its limits and guards."""
        defaults: dict[str, Any] = {}
        for each in self._task.module_defaults or ():
            defaults.update(each.get(CHANGE_MODULE, {}))
        return dict(self._templar.template(defaults))

    @contextlib.contextmanager
    def _environment(self) -> Iterator[dict[str, str]]:
        """The environment of this process with ``environment:`` of play, block and task, as a module would get it."""
        of_task: dict[str, Any] = {}
        self._compute_environment_string(of_task)
        before = dict(os.environ)
        os.environ.update({name: str(value) for name, value in plain(of_task).items()})
        try:
            yield dict(os.environ)
        finally:
            os.environ.clear()
            os.environ.update(before)
