"""The words that the demonstration marketplace is composed of.

All written for it. Company names are coined from syllables, so that none is meant to be anybody's; whatever
coincides with a real name, number or address does so by chance, and nothing is ever sent to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = [
    "CITIES",
    "FIRST_NAMES",
    "HONORIFICS",
    "LEGAL_FORMS",
    "MAILBOXES",
    "NAME_ENDS",
    "NAME_STARTS",
    "SURNAMES",
    "TRADES",
    "City",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class City:
    """A city, its state, the state's code in tax numbers, and how many suppliers it has beside the others."""

    name: str
    state: str
    code: str
    weight: int


def _cities(state: str, code: str, names: Mapping[str, int]) -> tuple[City, ...]:
    return tuple(City(name=name, state=state, code=code, weight=weight) for name, weight in names.items())


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


CITIES: Final = (
    *_cities("Maharashtra", "27", {"Mumbai": 15, "Pune": 12, "Nagpur": 4, "Nashik": 4, "Kolhapur": 3}),
    *_cities("Gujarat", "24", {"Ahmedabad": 11, "Surat": 10, "Rajkot": 8, "Vadodara": 5, "Jamnagar": 3}),
    *_cities("Delhi", "07", {"New Delhi": 13}),
    *_cities("Tamil Nadu", "33", {"Chennai": 9, "Coimbatore": 8, "Tiruppur": 5, "Madurai": 3, "Erode": 2}),
    *_cities("Karnataka", "29", {"Bengaluru": 10, "Mysuru": 3, "Hubballi": 2, "Mangaluru": 2}),
    *_cities("Telangana", "36", {"Hyderabad": 9, "Secunderabad": 2, "Warangal": 1}),
    *_cities("West Bengal", "19", {"Kolkata": 8, "Howrah": 4, "Siliguri": 1}),
    *_cities("Uttar Pradesh", "09", {"Kanpur": 5, "Noida": 5, "Ghaziabad": 4, "Lucknow": 4, "Moradabad": 3}),
    *_cities("Rajasthan", "08", {"Jaipur": 6, "Jodhpur": 3, "Kota": 1}),
    *_cities("Haryana", "06", {"Faridabad": 5, "Gurugram": 5, "Panipat": 3}),
    *_cities("Punjab", "03", {"Ludhiana": 7, "Jalandhar": 3, "Amritsar": 2}),
    *_cities("Madhya Pradesh", "23", {"Indore": 5, "Bhopal": 2, "Jabalpur": 1}),
    *_cities("Kerala", "32", {"Kochi": 3, "Kozhikode": 1, "Thrissur": 1}),
    *_cities("Andhra Pradesh", "37", {"Visakhapatnam": 3, "Vijayawada": 2, "Guntur": 1}),
    *_cities("Bihar", "10", {"Patna": 2}),
    *_cities("Jharkhand", "20", {"Jamshedpur": 2, "Ranchi": 1}),
    *_cities("Odisha", "21", {"Bhubaneswar": 2, "Rourkela": 1}),
    *_cities("Chhattisgarh", "22", {"Raipur": 2, "Bhilai": 1}),
    *_cities("Assam", "18", {"Guwahati": 1}),
    *_cities("Uttarakhand", "05", {"Dehradun": 1, "Haridwar": 1}),
)

NAME_STARTS: Final = _words(
    "Adi Anu Aru Bhavi Charu Dhani Dhruvi Eka Gauri Hari Indu Jaya Kama Kani Kiru Lali Madhu Mali Meru Mitra"
    " Nava Nila Ojas Pari Prabhu Ratna Rishi Rudra Sami Sanu Shanti Sindhu Suvi Tara Teju Udaya Vara Vedi"
    " Vinu Yashi"
)
NAME_ENDS: Final = _words(
    "bandh chandra dhara gandh hans jyot kund lekh mala mukh nath nidhi pal patra priya pushp rath sagar shikhar"
    " sutra tirth vahini valli van vardhan vrat yantra"
)
HONORIFICS: Final = ("Shree", "Sri", "Om", "New", "Jai", "Maa")
SURNAMES: Final = _words(
    "Agnihotri Bhagat Chaudhari Dalvi Deshpande Dubey Gaikwad Gokhale Gowda Hegde Iyengar Jadhav Joshi Kamath"
    " Kulkarni Lobo Menon Mishra Naidu Nambiar Oza Pandya Parmar Pillai Rathore Reddy Saini Sethi Shetty Solanki"
    " Thakkar Tiwari Trivedi Vaidya Varghese Wadhwa Yadav"
)
FIRST_NAMES: Final = _words(
    "Aarti Abhay Alok Ananya Anil Bhavna Chetan Deepa Dinesh Farida Gaurav Harpreet Imran Jyoti Kavita Kiran"
    " Lakshmi Mahesh Manoj Meera Nasreen Nikhil Pooja Prakash Rekha Rohan Sandeep Shabnam Sunita Suresh Tanvi"
    " Usha Vikram Yogesh Zubin"
)
LEGAL_FORMS: Final[Mapping[str, tuple[str, int]]] = {
    # what it is written as: the letter of its kind in a tax number, how common it is beside the others
    "": ("P", 42),
    "Pvt Ltd": ("C", 26),
    "& Sons": ("P", 7),
    "& Co": ("F", 7),
    "LLP": ("F", 8),
    "Private Limited": ("C", 8),
    "& Brothers": ("F", 2),
}
TRADES: Final[Mapping[str, tuple[str, ...]]] = {
    "Steel and metals": ("Steel Works", "Alloys", "Metal Traders", "Ispat Udyog", "Wire Products", "Foundry"),
    "Machinery": ("Engineering Works", "Machine Tools", "Pumps", "Gears", "Hydraulics", "Valves"),
    "Electricals": ("Electricals", "Cables", "Switchgear", "Transformers", "Lighting", "Motors"),
    "Textiles": ("Textiles", "Fabrics", "Knitwear", "Silk Mills", "Yarns", "Garments"),
    "Chemicals": ("Chemicals", "Dyes", "Solvents", "Coatings", "Adhesives"),
    "Packaging": ("Packaging", "Corrugators", "Printers", "Polymers", "Laminates"),
    "Food and agro": ("Agro Foods", "Spices", "Rice Mill", "Oils", "Dairy Products", "Tea Traders"),
    "Construction": ("Cement Products", "Tiles", "Granites", "Bricks", "Timber Mart", "Glass House"),
    "Auto parts": ("Auto Components", "Bearings", "Castings", "Rubber Products", "Springs"),
    "Medical": ("Surgicals", "Pharma Distributors", "Scientific Instruments", "Lab Equipment"),
    "Furniture": ("Furniture", "Plywood", "Interiors", "Hardware Stores"),
    "Trading": ("Enterprises", "Traders", "Exports", "Agencies", "Industries", "Udyog"),
}
MAILBOXES: Final = ("info", "sales", "contact", "office", "orders", "enquiry", "accounts")
