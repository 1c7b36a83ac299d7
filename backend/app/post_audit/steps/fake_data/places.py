"""States of India, their codes in tax numbers, and the states of the largest cities.

The codes are those of the GST registry, with the former ones that old registrations keep (28 for Andhra
Pradesh, 25 for Daman and Diu, 01 for Ladakh). A city counts only where one state in India has a city of
that name that anybody would think of; Aurangabad, Bilaspur, Udaipur, Pratapgarh and their like are left
out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from app.post_audit.steps.fake_data.signals import Evidence, Family, Weight

__all__ = ["codes_of_state", "place_evidence"]

_NOT_LETTERS: Final = re.compile(r"[^a-z]+|\band\b")

_CODES: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset(codes.split())
    for names, codes in (
        ("jammukashmir jk", "01"),
        ("ladakh la", "38 01"),
        ("himachalpradesh hp", "02"),
        ("punjab pb", "03"),
        ("chandigarh ch", "04"),
        ("uttarakhand uttaranchal uk", "05"),
        ("haryana hr", "06"),
        ("delhi newdelhi nctofdelhi dl", "07"),
        ("rajasthan rj", "08"),
        ("uttarpradesh up", "09"),
        ("bihar br", "10"),
        ("sikkim sk", "11"),
        ("arunachalpradesh ar", "12"),
        ("nagaland nl", "13"),
        ("manipur mn", "14"),
        ("mizoram mz", "15"),
        ("tripura tr", "16"),
        ("meghalaya ml", "17"),
        ("assam as", "18"),
        ("westbengal wb", "19"),
        ("jharkhand jh", "20"),
        ("odisha orissa or", "21"),
        ("chhattisgarh chattisgarh cg", "22"),
        ("madhyapradesh mp", "23"),
        ("gujarat gj", "24"),
        ("damandiu dd dadranagarhaveli dn dadranagarhavelidamandiu", "25 26"),
        ("maharashtra mh", "27"),
        ("andhrapradesh ap", "28 37"),
        ("karnataka ka", "29"),
        ("goa ga", "30"),
        ("lakshadweep ld", "31"),
        ("kerala kl", "32"),
        ("tamilnadu tn", "33"),
        ("puducherry pondicherry py", "34"),
        ("andamannicobarislands andamannicobar an", "35"),
        ("telangana ts tg", "28 36"),
    )
    for name in names.split()
}

_STATE_OF_CITY: Final[Mapping[str, str]] = {
    city: state
    for state, cities in (
        ("tamilnadu", "chennai coimbatore madurai tiruchirappalli tiruppur erode thoothukudi"),
        ("maharashtra", "mumbai pune nagpur nashik thane solapur kolhapur"),
        ("karnataka", "bengaluru bangalore mysuru mysore mangaluru mangalore hubballi"),
        ("telangana", "hyderabad secunderabad warangal karimnagar"),
        ("andhrapradesh", "visakhapatnam vijayawada guntur nellore tirupati kakinada"),
        ("gujarat", "ahmedabad surat vadodara rajkot bhavnagar jamnagar"),
        ("westbengal", "kolkata howrah siliguri durgapur asansol"),
        ("rajasthan", "jaipur jodhpur kota bikaner ajmer"),
        ("uttarpradesh", "lucknow kanpur agra varanasi meerut ghaziabad noida moradabad prayagraj"),
        ("madhyapradesh", "indore bhopal jabalpur gwalior ujjain"),
        ("kerala", "kochi thiruvananthapuram kozhikode thrissur kollam"),
        ("punjab", "ludhiana amritsar jalandhar patiala"),
        ("haryana", "gurugram gurgaon faridabad panipat"),
        ("bihar", "patna bhagalpur muzaffarpur"),
        ("jharkhand", "ranchi jamshedpur dhanbad"),
        ("odisha", "bhubaneswar cuttack rourkela"),
        ("chhattisgarh", "raipur bhilai"),
        ("assam", "guwahati"),
        ("uttarakhand", "dehradun haridwar"),
    )
    for city in cities.split()
}


def _plain(text: str) -> str:
    return _NOT_LETTERS.sub("", text.lower())


def codes_of_state(state: str) -> frozenset[str]:
    """Give the codes that a tax number of this state may begin with; none for a state that is not known."""
    return _CODES.get(_plain(state), frozenset())


def place_evidence(city: str, state: str) -> tuple[Evidence, ...]:
    """Say that a well-known city lies in another state than the one that is given; weak."""
    known = _STATE_OF_CITY.get(_plain(city))
    given = codes_of_state(state)
    if known is None or not given or given & _CODES[known]:
        return ()
    detail = f"{city.strip()} does not lie in {state.strip()}."
    return (Evidence(family=Family.PLACE, signal="city_other_state", detail=detail, weight=Weight.WEAK),)
