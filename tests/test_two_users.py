"""Two people in two processes on one MongoDB: neither overwrites what the other found or decided."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest

# Carries out code that comes line by line, and answers with `result`; the dataset stays in memory in between, as it
# does in a notebook or in the App's server.
_WORKER = """
import json, sys, traceback
import fiftyone as fo
from winnow.plugin.datasets import decisions, fields, runs
from winnow.plugin.datasets.action_log import list_logged, undone_at
from winnow.plugin.datasets.relabelling import decide_labels
from winnow.plugin.workflows.actions import tag_samples, undo_action
print("ready", flush=True)
for line in sys.stdin:
    result = None
    try:
        exec(json.loads(line))
        answer = {"result": result}
    except Exception:
        answer = {"error": traceback.format_exc()}
    print("answer", json.dumps(answer), flush=True)
"""


class User:
    """A process of somebody who has the dataset `ds`, with the samples `ids`, open."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def begin(self, code: str) -> None:
        """Have code carried out, without waiting for it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(textwrap.dedent(code)) + "\n")
        self._process.stdin.flush()

    def end(self) -> Any:
        """Wait for what was begun, and return its result."""
        answer = json.loads(self._line("answer"))
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def do(self, code: str) -> Any:
        self.begin(code)
        return self.end()

    def ready(self) -> None:
        self._line("ready")

    def leave(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def _line(self, beginning: str) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:  # FiftyOne prints there too
            if line.startswith(beginning):
                return line.removeprefix(beginning)
        raise AssertionError("the user's process has ended")


@pytest.fixture(scope="module")
def processes() -> Iterator[tuple[User, User]]:
    users = User(), User()
    for user in users:
        user.ready()
    yield users
    for user in users:
        user.leave()


@pytest.fixture
def users(processes: tuple[User, User], request: pytest.FixtureRequest) -> tuple[User, User]:
    """Return two users who opened the same new dataset of twelve labelled samples."""
    name = request.node.name
    processes[0].do(
        f"""
        made = fo.Dataset({name!r}, persistent=True)
        label = lambda: fo.Classification(label="cat")
        made.add_samples([fo.Sample(filepath=f"/images/{{n}}.png", ground_truth=label()) for n in range(12)])
        """
    )
    for user in processes:
        user.do(f"ds = fo.load_dataset({name!r}); ids = ds.values('id')")
    return processes


def together(users: tuple[User, User], first: str, second: str) -> tuple[Any, Any]:
    """Have both do something at the same moment."""
    users[0].begin(first)
    users[1].begin(second)
    return users[0].end(), users[1].end()


def test_actions_of_the_same_moment_get_numbers_of_their_own_and_none_is_lost(users: tuple[User, User]) -> None:
    many = "result = [tag_samples(ds, ids, f'{who} {{n}}').action for n in range(5)]"

    keys = [key for found in together(users, many.format(who="ann"), many.format(who="bob")) for key in found]

    logged = users[0].do("result = sorted([run.key, run.params['tag']] for run in list_logged(ds))")
    assert len(set(keys)) == 10
    assert sorted(key for key, _ in logged) == sorted(keys)
    assert {tag for _, tag in logged} == {f"{who} {n}" for who in ("ann", "bob") for n in range(5)}


def test_what_one_did_the_other_sees_and_can_take_back(users: tuple[User, User]) -> None:
    ann, bob = users
    ann.do("tag_samples(ds, ids[:3], 'look')")

    taken_back = bob.do("result = undo_action(ds).samples")

    assert taken_back == 3
    assert ann.do("result = [ds.match_tags('look').count(), bool(undone_at(list_logged(ds)[0]))]") == [0, True]


def test_both_write_fields_that_the_other_does_not_know_of(users: tuple[User, User]) -> None:
    ann, bob = users
    write = "fields.write_values(ds, {field!r}, ids, [{value}] * 12, kind='int')"
    ann.do(write.format(field="of_ann", value=1))
    bob.do(write.format(field="of_bob", value=2))
    bob.do(write.format(field="of_ann", value=3))

    values = ann.do("ds.reload(); result = [ds.distinct(name) for name in ('of_ann', 'of_bob')]")

    assert values == [[3], [2]]


def test_a_run_in_place_of_anothers_keeps_the_fields_that_it_must_be_deleted_with(users: tuple[User, User]) -> None:
    ann, bob = users
    save = """
        fields.write_values(ds, {field!r}, ids, [1] * 12, kind='int')
        of = {{'fields': [{field!r}], 'summary': {{}}, 'results': {{'by': {field!r}}}}}
        runs.save_run(ds, 'found', method='find', params={{}}, **of)
        """
    ann.do(save.format(field="of_ann"))
    bob.do(save.format(field="of_bob"))

    found = ann.do("result = [list(runs.load_run(ds, 'found').fields), runs.load_results(ds, 'found')]")

    assert found == [["of_bob", "of_ann"], {"by": "of_bob"}]


def test_decisions_about_different_labels_both_stand(users: tuple[User, User]) -> None:
    decide = "decide_labels(ds, 'ground_truth', {ids}, 'accepted', by={by!r}, labels=dict.fromkeys(ids, 'dog'))"

    together(users, decide.format(ids="ids[:6]", by="ann"), decide.format(ids="ids[6:]", by="bob"))

    decided = users[0].do("ds.reload(); result = ds.values('ground_truth.decided_by')")
    assert decided == ["ann"] * 6 + ["bob"] * 6


def test_decisions_about_one_label_follow_each_other_and_lose_no_history(users: tuple[User, User]) -> None:
    decide = """
        result = []
        for n in range(12):
            label = f'{by} {{n}}'
            if decide_labels(ds, 'ground_truth', ids[:1], 'accepted', by={by!r}, labels={{ids[0]: label}}).samples:
                result.append(label)
        """

    ann, bob = together(users, decide.format(by="ann"), decide.format(by="bob"))

    label, history = users[0].do(
        "held = ds._sample_collection.find_one()['ground_truth']; "
        "result = [held['label'], [each['label'] for each in held['history']]]"
    )
    assert history[0] == "cat"
    assert sorted([*history[1:], label]) == sorted([*ann, *bob])  # each that was told as done was there once


def test_decisions_about_duplicates_of_the_same_moment_both_stand(users: tuple[User, User]) -> None:
    apart = "[decisions.call_apart(ds, [ids[0], each]) for each in {those}]"

    together(users, apart.format(those="ids[1:6]"), apart.format(those="ids[6:]"))

    sets = users[0].do(
        "result = sorted(sorted(map(ids.index, each)) for each in decisions.read_decisions(ds).apart_sets)"
    )
    assert sets == [[0, other] for other in range(1, 12)]


def test_what_one_decided_counts_for_the_other_who_had_the_dataset_open(users: tuple[User, User]) -> None:
    ann, bob = users
    ann.do("decide_labels(ds, 'ground_truth', ids[:1], 'kept', by='ann'); decisions.keep_all(ds, ids[:2])")

    found = bob.do(
        "import numpy as np; from winnow.plugin.datasets.label_decisions import read_label_decisions; "
        "confirmed = read_label_decisions(ds, np.array(ids, object), 'ground_truth').confirmed; "
        "result = [confirmed.tolist().count(True), len(decisions.read_decisions(ds).kept)]"
    )

    assert found == [1, 1]
