"""What users reported: in English, in Hindi with Latin letters, once and again and in other words.

Most rows came through the marketplace's old form, which wrote one row a report and knew no duplicates. The last
days' came through the intake of step `bugs`, where people only say "me too". The worst of all is named in
a label, and so is every repeat, also those in other words, which no fingerprint can find.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from app.post_audit.demonstration.tables import DAY, HOUR, NOW, Cell, Label, Table, iso, table
from app.post_audit.steps.bugs.facts import Tier
from app.post_audit.steps.bugs.intake import BugReport, prepare

__all__ = ["BugReports", "make_bug_reports"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bug:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class BugReports:
    """The bugs, the reports that came through the intake, and what is planted in them."""

    bugs: Table
    reports: Table
    labels: tuple[Label, ...]


_BUGS: Final = (
    _Bug(
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
    _Bug(
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
    _Bug(
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
    _Bug(
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
    _Bug(
        title="Leaderboard rank jumps between refreshes",
        description="I am 12th, then 31st, then 12th again within a minute.",
        page="/leaderboard",
        impact="top_100",
        first_day=4.1,
        repeats=1,
        me_too=4,
    ),
    _Bug(
        title="Search finds nothing for Hindi words",
        description="Searching for a product in Hindi letters gives an empty page.",
        page="/search",
        first_day=12.3,
        repeats=1,
    ),
    _Bug(
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
    _Bug(
        title="Inquiry mail comes three times",
        description="Every inquiry is mailed to us three times.",
        page="/inquiries",
        first_day=3.0,
        me_too=2,
        by_intake=True,
    ),
    _Bug(
        title="Photo upload stops at 99 %",
        description="Product photos from my phone never finish.",
        page="/products/new",
        error_code="UPL-413",
        first_day=8.5,
        repeats=1,
    ),
    _Bug(
        title="App bahut slow hai",
        description="Home page khulne mein 20 second lagta hai, 4G pe.",
        page="/",
        first_day=9.8,
        impact="new_users",
    ),
    _Bug(
        title="Cannot log out on iPhone",
        description="The button does nothing.",
        page="/account",
        severity="low",
        first_day=15.5,
    ),
    _Bug(
        title="Invoice PDF has the wrong state code",
        description="Place of supply says 27 instead of 24.",
        page="/invoices",
        error_code="INV-STATE",
        severity="high",
        impact="paying_users",
        first_day=2.2,
        status="in_progress",
    ),
    _Bug(
        title="Category list is cut off on small screens",
        description="The last categories cannot be reached.",
        page="/categories",
        severity="low",
        first_day=21.7,
    ),
    _Bug(
        title="Chat message is sent twice",
        description="Buyer gets every message of mine two times.",
        page="/chat",
        first_day=6.9,
        repeats=1,
    ),
    _Bug(
        title="WhatsApp share link opens a blank page",
        description="Link share kiya, saamne wale ko blank page dikhta hai.",
        page="/share",
        first_day=5.8,
    ),
    _Bug(
        title="Price filter ignores the upper limit",
        description="Up to 500 shows products for 5,000 too.",
        page="/search",
        first_day=11.1,
    ),
    _Bug(
        title="Airdrop banner covers the menu",
        description="Banner hatane ka button nahi hai, menu ke upar aa jata hai.",
        page="/",
        severity="low",
        first_day=1.2,
        by_intake=True,
    ),
    _Bug(
        title="Error 500 on bulk product import",
        description="A CSV of 800 rows fails after a minute, 200 rows work.",
        page="/products/import",
        error_code="500",
        first_day=7.7,
        impact="top_100",
    ),
    _Bug(
        title="Error 404 on bulk product import",
        description="The link to the sample CSV leads nowhere.",
        page="/products/import",
        error_code="404",
        severity="low",
        first_day=7.1,
    ),
    _Bug(
        title="Date is shown as month/day",
        description="03/11 is the third of November here, not the eleventh of March.",
        page="/orders",
        severity="low",
        first_day=24.0,
    ),
    _Bug(
        title="Notification sound cannot be switched off",
        description="Raat ko bhi bajta hai.",
        page="/settings",
        severity="low",
        first_day=17.3,
    ),
    _Bug(
        title="Reset link has expired when it arrives",
        description="The mail comes after half an hour, the link is valid for fifteen minutes.",
        page="/reset",
        error_code="TOK-EXP",
        first_day=4.6,
        impact="new_users",
    ),
    _Bug(
        title="Unit of quantity is lost in the quotation",
        description="I quoted per kg, the buyer sees per piece.",
        page="/quotations",
        severity="high",
        impact="paying_users",
        first_day=0.9,
    ),
    _Bug(
        title="Dark mode: text cannot be read in tables",
        description="Grey on grey.",
        page="/orders",
        severity="low",
        first_day=13.4,
    ),
    _Bug(
        title="Button does not work",
        description="On the page of my company the green button does nothing.",
        first_day=10.2,
    ),
    _Bug(
        title="Button does not work",
        description="Quotation bhejne wala button press hi nahi hota, Android 12.",
        first_day=3.3,
    ),
)
"""The last two have one title and are two bugs: nothing but their descriptions tells them apart."""

_TIERS: Final = (Tier.PAYING, Tier.TOP_100, Tier.NEW, Tier.OTHER)
_TIER_SHARES: Final = (0.2, 0.05, 0.3, 0.45)
_WORST: Final = 0
"""The place of the bug that ought to be the first: money is gone, it is critical, and most people report it."""


def make_bug_reports(seed: int) -> BugReports:
    """Write the bugs in the order they came up, and the reports of the last days."""
    generator = np.random.default_rng([seed, 7])
    drafts: list[tuple[int, dict[str, Cell], tuple[int, str]]] = []
    for place, bug in enumerate(_BUGS):
        first_at = NOW - int(bug.first_day * DAY)
        drafts.append((first_at, _row(bug, bug.title, bug.description, first_at), (place, "first")))
        again = first_at + (np.sort(generator.random(bug.repeats)) * (NOW - HOUR - first_at)).astype(np.int64)
        # Somebody has judged the first one; the others are as the old form wrote them.
        unjudged = replace(bug, severity="medium")
        drafts += [
            (at, _row(unjudged, bug.title, bug.description, at), (place, "again")) for at in again.tolist()
        ]
        for title, description in bug.reworded:
            at = first_at + int(generator.random() * (NOW - HOUR - first_at))
            drafts.append((at, _row(unjudged, title, description, at), (place, "reworded")))
    drafts.sort(key=lambda draft: draft[0])

    firsts = {
        place: number for number, (_, _, (place, role)) in enumerate(drafts, start=1) if role == "first"
    }
    said = {"again": "the same report again", "reworded": "the same in other words"}
    labels = [
        Label(kind="bug", subject=f"bug:{number}", truth=f"bug:{firsts[place]}", detail=said[role])
        for number, (_, _, (place, role)) in enumerate(drafts, start=1)
        if role != "first"
    ]
    labels.append(
        Label(
            kind="worst_bug",
            subject=f"bug:{firsts[_WORST]}",
            truth="worst",
            detail="money is gone, and most people report it",
        )
    )
    columns: dict[str, list[Cell]] = {"id": list(range(1, len(drafts) + 1))}
    for name in drafts[0][1]:
        columns[name] = [row[name] for _, row, _ in drafts]
    return BugReports(
        bugs=table("public.bugs", columns), reports=_reports(firsts, generator), labels=tuple(labels)
    )


def _row(bug: _Bug, title: str, description: str, at: int) -> dict[str, Cell]:
    """Write one row; only the intake gives a fingerprint."""
    fingerprint = prepare(_as_report(bug))["fingerprint"] if bug.by_intake or bug.came_back else None
    return {
        "title": title,
        "description": description,
        "page": bug.page,
        "error_code": bug.error_code,
        "severity": bug.severity,
        "impact": bug.impact,
        "status": bug.status,
        "fingerprint": str(fingerprint) if fingerprint else None,
        "created_at": iso(at),
        "fixed_at": iso(NOW - 6 * DAY) if bug.came_back else None,
        "updated_at": iso(NOW - 2 * DAY if bug.came_back else at),
    }


def _as_report(bug: _Bug) -> BugReport:
    return BugReport(title=bug.title, description=bug.description, page=bug.page, error_code=bug.error_code)


def _reports(firsts: dict[int, int], generator: np.random.Generator) -> Table:
    """Write what came through the intake in the last days: who agreed with which bug, and when."""
    written: list[dict[str, Cell]] = []
    for place, bug in enumerate(_BUGS):
        if not (bug.me_too or bug.by_intake):
            continue
        taken = prepare(_as_report(bug))
        since = max(NOW - 2 * DAY, NOW - int(bug.first_day * DAY))
        moments = np.sort(since + (generator.random(bug.me_too) * (NOW - HOUR - since)).astype(np.int64))
        if bug.by_intake:
            moments = np.concatenate([[NOW - int(bug.first_day * DAY)], moments])
        tiers = generator.choice(len(_TIERS), len(moments), p=_TIER_SHARES)
        reporters = generator.choice(9_000, len(moments), replace=False)
        for number, at in enumerate(moments.tolist()):
            written.append(
                {
                    "bug_id": str(firsts[place]),
                    "reporter": f"u{10_000 + int(reporters[number])}",
                    "tier": _TIERS[int(tiers[number])].value,
                    "title": str(taken["title"]),
                    "description": str(taken["description"]),
                    "page": bug.page,
                    "error_code": bug.error_code,
                    "app_version": ("3.4.1", "3.4.2")[number % 2],
                    "fingerprint": str(taken["fingerprint"]),
                    "created_bug": "t" if bug.by_intake and number == 0 else "f",
                    "reopened_bug": "t" if bug.came_back and number == 0 else "f",
                    "received_at": iso(at),
                }
            )
    written.sort(key=lambda row: str(row["received_at"]))
    columns: dict[str, list[Cell]] = {name: [row[name] for row in written] for name in written[0]}
    return table("post_audit.bug_reports", columns)
