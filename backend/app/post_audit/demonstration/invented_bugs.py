"""The bugs that the users of the demonstration met, with the words in which they told of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["BUGS", "InventedBug"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InventedBug:
    """One bug. `repeats` rows say the same again, `reworded` say it in other words, `me_too` people agree.

    `first_day` is how many days ago it came up; with `by_intake` its first row came through the intake too.
    """

    title: str
    description: str
    page: str | None = None
    error_code: str | None = None
    severity: str = "medium"
    impact: str = "all_users"
    first_day: float
    repeats: int = 0
    reworded: tuple[tuple[str, str], ...] = ()
    me_too: int = 0
    by_intake: bool = False
    status: str = "open"
    came_back: bool = False


BUGS: Final = (
    InventedBug(
        title="Wallet shows ₹0 after claim",
        description="I claimed my page, the credit message came, but my wallet still shows zero.",
        page="/wallet",
        error_code="WAL-409",
        severity="critical",
        impact="paying_users",
        first_day=1.9,
        repeats=7,
        reworded=(
            (
                "Claim ke baad wallet mein paise nahi aaye",
                "Airdrop claim kiya tha kal, wallet abhi bhi zero.",
            ),
            ("Credit missing", "Where is my 5000 credit? Wallet is empty since yesterday."),
        ),
        me_too=38,
    ),
    InventedBug(
        title="OTP does not arrive on Jio numbers",
        description="Waited ten minutes, tried three times, no OTP. Airtel number works.",
        page="/login",
        error_code="OTP-TIMEOUT",
        severity="high",
        first_day=5.2,
        repeats=4,
        reworded=(("OTP nahi aa raha", "Login karne pe OTP hi nahi aata, 3 baar try kiya."),),
        me_too=16,
    ),
    InventedBug(
        title="Payment debited but order not confirmed",
        description="UPI payment went through, the page went back to the cart.",
        page="/checkout",
        error_code="PAY-502",
        severity="high",
        impact="paying_users",
        first_day=2.6,
        repeats=2,
        reworded=(
            ("Paisa kat gaya order nahi hua", "UPI se payment ho gaya lekin order confirm nahi dikh raha."),
        ),
        me_too=9,
    ),
    InventedBug(
        title="GSTIN is refused although it is right",
        description="My GSTIN is active on the portal, the form says it is invalid.",
        page="/claim/verify",
        error_code="GST-422",
        severity="high",
        impact="new_users",
        first_day=6.4,
        repeats=2,
        me_too=5,
    ),
    InventedBug(
        title="Leaderboard rank jumps between refreshes",
        description="I am 12th, then 31st, then 12th again within a minute.",
        page="/leaderboard",
        impact="top_100",
        first_day=4.1,
        repeats=1,
        me_too=4,
    ),
    InventedBug(
        title="Search finds nothing for Hindi words",
        description="Searching for a product in Hindi letters gives an empty page.",
        page="/search",
        first_day=12.3,
        repeats=1,
    ),
    InventedBug(
        title="Claimed page shows the old phone number again",
        description="I changed it last week and it was right for some days. Now the old number is back.",
        page="/supplier/edit",
        error_code="SUP-STALE",
        severity="medium",
        impact="paying_users",
        first_day=19.0,
        me_too=3,
        came_back=True,
    ),
    InventedBug(
        title="Inquiry mail comes three times",
        description="Every inquiry is mailed to us three times.",
        page="/inquiries",
        first_day=3.0,
        me_too=2,
        by_intake=True,
    ),
    InventedBug(
        title="Photo upload stops at 99 %",
        description="Product photos from my phone never finish.",
        page="/products/new",
        error_code="UPL-413",
        first_day=8.5,
        repeats=1,
    ),
    InventedBug(
        title="App bahut slow hai",
        description="Home page khulne mein 20 second lagta hai, 4G pe.",
        page="/",
        first_day=9.8,
        impact="new_users",
    ),
    InventedBug(
        title="Cannot log out on iPhone",
        description="The button does nothing.",
        page="/account",
        severity="low",
        first_day=15.5,
    ),
    InventedBug(
        title="Invoice PDF has the wrong state code",
        description="Place of supply says 27 instead of 24.",
        page="/invoices",
        error_code="INV-STATE",
        severity="high",
        impact="paying_users",
        first_day=2.2,
        status="in_progress",
    ),
    InventedBug(
        title="Category list is cut off on small screens",
        description="The last categories cannot be reached.",
        page="/categories",
        severity="low",
        first_day=21.7,
    ),
    InventedBug(
        title="Chat message is sent twice",
        description="Buyer gets every message of mine two times.",
        page="/chat",
        first_day=6.9,
        repeats=1,
    ),
    InventedBug(
        title="WhatsApp share link opens a blank page",
        description="Link share kiya, saamne wale ko blank page dikhta hai.",
        page="/share",
        first_day=5.8,
    ),
    InventedBug(
        title="Price filter ignores the upper limit",
        description="Up to 500 shows products for 5,000 too.",
        page="/search",
        first_day=11.1,
    ),
    InventedBug(
        title="Airdrop banner covers the menu",
        description="Banner hatane ka button nahi hai, menu ke upar aa jata hai.",
        page="/",
        severity="low",
        first_day=1.2,
        by_intake=True,
    ),
    InventedBug(
        title="Error 500 on bulk product import",
        description="A CSV of 800 rows fails after a minute, 200 rows work.",
        page="/products/import",
        error_code="500",
        first_day=7.7,
        impact="top_100",
    ),
    InventedBug(
        title="Error 404 on bulk product import",
        description="The link to the sample CSV leads nowhere.",
        page="/products/import",
        error_code="404",
        severity="low",
        first_day=7.1,
    ),
    InventedBug(
        title="Date is shown as month/day",
        description="03/11 is the third of November here, not the eleventh of March.",
        page="/orders",
        severity="low",
        first_day=24.0,
    ),
    InventedBug(
        title="Notification sound cannot be switched off",
        description="Raat ko bhi bajta hai.",
        page="/settings",
        severity="low",
        first_day=17.3,
    ),
    InventedBug(
        title="Reset link has expired when it arrives",
        description="The mail comes after half an hour, the link is valid for fifteen minutes.",
        page="/reset",
        error_code="TOK-EXP",
        first_day=4.6,
        impact="new_users",
    ),
    InventedBug(
        title="Unit of quantity is lost in the quotation",
        description="I quoted per kg, the buyer sees per piece.",
        page="/quotations",
        severity="high",
        impact="paying_users",
        first_day=0.9,
    ),
    InventedBug(
        title="Dark mode: text cannot be read in tables",
        description="Grey on grey.",
        page="/orders",
        severity="low",
        first_day=13.4,
    ),
    InventedBug(
        title="Button does not work",
        description="On the page of my company the green button does nothing.",
        first_day=10.2,
    ),
    InventedBug(
        title="Button does not work",
        description="Quotation bhejne wala button press hi nahi hota, Android 12.",
        first_day=3.3,
    ),
)
"""The last two have one title and are two bugs: nothing but their descriptions tells them apart."""
