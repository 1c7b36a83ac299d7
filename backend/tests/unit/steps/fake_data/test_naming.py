from __future__ import annotations

import pytest

from app.post_audit.steps.fake_data.naming import naming_evidence
from app.post_audit.steps.fake_data.policy import FakeDataPolicy

POLICY = FakeDataPolicy()


def signals(name: str, key: str = "1", policy: FakeDataPolicy = POLICY) -> list[str]:
    return [item.signal for item in naming_evidence(key, name, policy)]


@pytest.mark.parametrize(
    "name",
    [
        "Mock Supplier 12",
        "Test Company 3",
        "  test   company   3 ",
        "TestCompany3",
        "Supplier_0042",
        "supplier-7",
        "Vendor #19",
        "Company No. 5",
        "Demo Vendor 4 Pvt. Ltd.",
        "Supplier Test 1",
        "Dummy 12",
        "Lorem ipsum dolor",
    ],
)
def test_a_template_with_a_counter_is_a_sign(name: str) -> None:
    assert signals(name) == ["numbered_name"]


@pytest.mark.parametrize("name", ["Test Company", "Dummy Vendor Pvt Ltd", "SAMPLE SUPPLIER"])
def test_a_template_without_a_counter_is_a_weak_sign(name: str) -> None:
    assert signals(name) == ["placeholder_name"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Test Valley Ltd",
        "Demo Technologies",
        "Sample Tools",
        "Mock & Co",
        "Testo India",
        "Dummy Engineering",
        "Demo Technologies 2",
        "Test Labs 9000",
        "3M Company",
        "Company of Heroes 2",
        "Supplier 12 Street Foods",
        "Studio 54",
        "Example",
    ],
)
def test_a_word_in_a_name_is_none(name: str) -> None:
    assert signals(name) == []


@pytest.mark.parametrize("key", ["mock-supplier-12", "seed_7", "TEST-vendor:3", "demo-company-alpha"])
def test_a_key_that_seed_scripts_give_is_a_sign(key: str) -> None:
    assert signals("Gupta Mills", key) == ["reserved_id"]


@pytest.mark.parametrize("key", ["", "1", "4711", "clx7q0001", "mocktail-bar", "seedling", "test"])
def test_any_other_key_is_none(key: str) -> None:
    assert signals("Gupta Mills", key) == []


def test_conventions_can_be_replaced() -> None:
    policy = FakeDataPolicy(numbered_names=("Zed .*",), placeholder_names=(), reserved_ids=())
    assert signals("zed seven", "seed_7", policy) == ["numbered_name"]
    assert signals("Test Company 3", "seed_7", policy) == []
