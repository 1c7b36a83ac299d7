"""Ordinary suppliers are as real ones are; invented ones are few, and of many kinds."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

import pytest
from stdnum.in_ import gstin

from app.post_audit.demonstration.suppliers import (
    FAKES,
    SEED_ROWS,
    SUPPLIERS,
    Directory,
    Supplier,
    make_directory,
)
from app.post_audit.demonstration.vocabulary import CITIES, NAME_ENDS, NAME_STARTS, TRADES

MOBILE: Final = re.compile(r"(?:\+91 ?|0)?[6-9]\d{4}[ -]?\d{5}")
STATE_OF_CITY: Final = {city.name: city.state for city in CITIES}
CODE_OF_STATE: Final = {city.state: city.code for city in CITIES}


@pytest.fixture(scope="module")
def directory() -> Directory:
    return make_directory(3)


@pytest.fixture(scope="module")
def ordinary(directory: Directory) -> list[Supplier]:
    return [one for one in directory.suppliers if not one.plant]


def known_firms() -> set[str]:
    names = """
    adani amul asian ashok bajaj bharti birla britannia cipla dabur essar exide finolex
    godrej havells hero hindalco infosys itc jindal kirloskar lupin mahindra marico maruti nestle
    patanjali polycab raymond reliance tata titan ultratech vedanta voltas wipro zydus
"""
    return set(names.split())


def test_there_are_as_many_as_said(directory: Directory) -> None:
    plants = Counter(one.plant for one in directory.suppliers if one.is_fake)
    assert len(directory.suppliers) == SUPPLIERS
    assert plants == Counter(FAKES)


def test_the_invented_are_less_than_one_percent(directory: Directory) -> None:
    fakes = sum(one.is_fake for one in directory.suppliers)
    assert 0 < fakes < min(SUPPLIERS / 100, 500)


def test_tax_numbers_of_ordinary_suppliers_are_valid(ordinary: list[Supplier]) -> None:
    numbers = [one for one in ordinary if one.gstin]
    assert len(numbers) > len(ordinary) / 2
    for one in numbers:
        assert gstin.is_valid(str(one.gstin)), one
        assert str(one.gstin)[:2] == CODE_OF_STATE[one.state], one


def test_cities_lie_in_their_states_but_for_the_slips_of_real_rows(ordinary: list[Supplier]) -> None:
    elsewhere = sum(STATE_OF_CITY[one.city] != one.state for one in ordinary)
    assert 0.01 * len(ordinary) < elsewhere < 0.02 * len(ordinary)


def test_phones_are_indian_mobiles_but_for_the_slips_of_real_rows(ordinary: list[Supplier]) -> None:
    others = sum(not MOBILE.fullmatch(one.phone or "") for one in ordinary)
    assert 0.01 * len(ordinary) < others < 0.02 * len(ordinary)


def test_addresses_are_at_the_supplier_s_own_domain(ordinary: list[Supplier]) -> None:
    domains = {one.email.rpartition("@")[2] for one in ordinary if one.email}
    assert len(domains) > 0.9 * len(ordinary) * 0.94
    for one in ordinary:
        if one.email and one.website:
            assert one.website == f"https://www.{one.email.rpartition('@')[2]}"


def test_no_name_is_that_of_a_known_firm(directory: Directory) -> None:
    vocabulary = {
        *(start + end for start in NAME_STARTS for end in NAME_ENDS),
        *(word for names in TRADES.values() for name in names for word in name.split()),
    }
    assert not {word.lower() for word in vocabulary} & known_firms()
    words = {word.lower() for one in directory.suppliers for word in re.findall(r"\w+", one.name)}
    assert not words & known_firms()


def test_rows_of_the_seed_list_are_among_the_suppliers(directory: Directory) -> None:
    listed = {(row["name"], row["email"], row["phone"]) for row in directory.seed_list}
    assert len(directory.seed_list) == SEED_ROWS
    planted = [
        directory.suppliers[number - 1] for number in directory.planted("row of the registered seed list")
    ]
    assert {(one.name, one.email or "", one.phone or "") for one in planted} <= listed


def test_invented_tax_numbers_are_mostly_wrong(directory: Directory) -> None:
    numbered = [
        directory.suppliers[number - 1]
        for number in directory.planted("numbered name and invented tax number")
    ]
    valid = sum(gstin.is_valid(str(one.gstin)) for one in numbered)
    assert valid <= len(numbered) / 8


def test_a_tax_number_of_another_state_is_valid_there(directory: Directory) -> None:
    for number in directory.planted("tax number of another state and placeholder contacts"):
        one = directory.suppliers[number - 1]
        assert gstin.is_valid(str(one.gstin))
        assert str(one.gstin)[:2] != CODE_OF_STATE[one.state]


def test_real_ones_that_look_invented_are_real(directory: Directory) -> None:
    look_alikes = [directory.suppliers[number - 1] for number in directory.planted("looks invented")]
    assert len(look_alikes) == 10
    assert not any(one.is_fake for one in look_alikes)
    assert "mail@example.com" in {one.email for one in look_alikes}
