"""Which schema may follow which, and when two texts are one schema."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.registry_errors import RegistryError
from sandbox.registry_schemas import Compatibility, canonical, judge, parse
from sandbox.registry_store import Store


def record(*fields: str, name: str = "Event") -> str:
    return f'{{"type":"record","name":"{name}","fields":[{",".join(fields)}]}}'


ID = '{"name":"id","type":"string"}'
COUNT = '{"name":"count","type":"int"}'
COUNT_DEFAULTED = '{"name":"count","type":"int","default":0}'
LEVELS = st.sampled_from(list(Compatibility))
SCHEMAS = st.sampled_from(
    [record(ID), record(ID, COUNT), record(ID, COUNT_DEFAULTED), record(COUNT_DEFAULTED), record(COUNT)]
)


@pytest.mark.parametrize(
    ("new", "old", "backward", "forward"),
    [
        (record(ID), record(ID), True, True),
        (record(ID, COUNT), record(ID), False, True),
        (record(ID, COUNT_DEFAULTED), record(ID), True, True),
        (record(ID), record(ID, COUNT), True, False),
        ('"long"', '"int"', True, False),
        ('"int"', '"long"', False, True),
        ('["null","string"]', '"string"', True, False),
        (
            '{"type":"enum","name":"E","symbols":["A","B"]}',
            '{"type":"enum","name":"E","symbols":["A"]}',
            True,
            False,
        ),
        (record(ID, name="Other"), record(ID), False, False),
    ],
)
def test_levels_ask_who_reads_whom(new: str, old: str, *, backward: bool, forward: bool) -> None:
    verdicts = {
        level: judge(level, parse(new), parse(old), old_version=1).compatible for level in Compatibility
    }
    assert verdicts == {
        Compatibility.NONE: True,
        Compatibility.BACKWARD: backward,
        Compatibility.BACKWARD_TRANSITIVE: backward,
        Compatibility.FORWARD: forward,
        Compatibility.FORWARD_TRANSITIVE: forward,
        Compatibility.FULL: backward and forward,
        Compatibility.FULL_TRANSITIVE: backward and forward,
    }


@given(new=SCHEMAS, old=SCHEMAS)
def test_forward_is_backward_the_other_way_round(new: str, old: str) -> None:
    forward = judge(Compatibility.FORWARD, parse(new), parse(old), old_version=1)
    backward = judge(Compatibility.BACKWARD, parse(old), parse(new), old_version=1)
    assert forward.compatible == backward.compatible


@given(schema=SCHEMAS, level=LEVELS)
def test_every_schema_may_follow_itself(schema: str, level: Compatibility) -> None:
    assert judge(level, parse(schema), parse(schema), old_version=1).compatible


def test_a_verdict_names_the_version_the_place_and_the_cause() -> None:
    verdict = judge(Compatibility.FULL, parse('"int"'), parse('"string"'), old_version=3)
    assert len(verdict.messages) == 2
    assert "cannot read data written with version 3" in verdict.messages[0]
    assert "type_mismatch" in verdict.messages[0]
    assert "version 3 cannot read data written with the new schema" in verdict.messages[1]


def versions_accepted(level: Compatibility, *texts: str) -> int:
    store = Store()
    store.set_level(None, level)
    accepted = 0
    for text in texts:
        schema = store.read_schema(text, (), normalize=False)
        try:
            store.register("s", schema)
        except RegistryError as error:
            if error.status != 409:
                raise
        else:
            accepted += 1
    return accepted


def test_only_transitive_levels_look_beyond_the_latest_version() -> None:
    # The third reads the second, whose field has its type, but not the first, which has no such field.
    history = (record(ID), record(ID, COUNT_DEFAULTED), record(ID, COUNT))
    assert versions_accepted(Compatibility.BACKWARD, *history) == 3
    assert versions_accepted(Compatibility.BACKWARD_TRANSITIVE, *history) == 2


@given(indent=st.integers(0, 8))
def test_white_space_does_not_make_another_schema(indent: int) -> None:
    spaced = json.dumps(json.loads(record(ID, COUNT)), indent=indent)
    assert canonical(spaced, normalize=False) == canonical(record(ID, COUNT), normalize=False)


def test_documentation_makes_another_schema() -> None:
    documented = '{"type":"record","name":"Event","doc":"what happened","fields":[]}'
    assert canonical(documented, normalize=True) != canonical(record(), normalize=True)


def test_normalising_keeps_the_order_of_fields_and_of_defaults() -> None:
    default = '{"name":"m","type":{"type":"map","values":"int"},"default":{"z":1,"a":2}}'
    assert canonical(record(COUNT, ID, default), normalize=True).index('"count"') < canonical(
        record(COUNT, ID, default), normalize=True
    ).index('"id"')
    assert '"default":{"z":1,"a":2}' in canonical(record(default), normalize=True)


def test_a_bare_name_is_a_schema() -> None:
    assert canonical(" string ", normalize=False) == '"string"'


@pytest.mark.parametrize(
    "text",
    ["{", '{"type":"recor"}', '{"type":"record","name":"1x","fields":[]}', '{"type":"array"}', "[[]]", "7"],
)
def test_what_is_no_schema_is_refused_with_the_code_for_it(text: str) -> None:
    with pytest.raises(RegistryError) as raised:
        parse(canonical(text, normalize=False))
    assert raised.value.code == 42201


def test_a_logical_type_nobody_knows_is_read_as_its_base_type() -> None:
    assert parse('{"type":"string","logicalType":"phone"}').type == "string"
