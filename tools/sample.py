"""Write the files behind the page's "Try it with a sample": orders of a coffee roaster.

    python tools/sample.py

The same bytes every time, so that the files in the template change only when this script does.
Each example has its own: `sample.xlsx` is for `profile`, two months are for `merge`, and what the
ledger and the bank say is for `reconcile`.
"""

from __future__ import annotations

import csv
import io
import random
import re
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

from openpyxl import Workbook
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

Value = str | int | float | date | None

FOLDER = (
    Path(__file__).resolve().parent.parent
    / "{{cookiecutter.project_slug}}/src/{{cookiecutter.package_name}}/static"
)
HEADER = (
    *("Order", "Date", "Region", "Seller", "Product"),
    *("Quantity", "Unit price", "Discount", "Amount"),
)
ORDERS = 300
FIRST_DAY = date(2025, 1, 2)
PRODUCTS = {
    "House blend 1 kg": 18.5,
    "Espresso 1 kg": 21.0,
    "Decaf 500 g": 12.25,
    "Single origin 250 g": 9.8,
    "Cold brew kit": 34.0,
    "Paper filters, 100": 4.6,
    "Hand grinder": 59.0,
}
REGIONS = {"North": 9, "South": 6, "East": 4, "West": 7, "Central": 3}
SELLERS = {
    "North": ["Ada", "Bruno"],
    "South": ["Chiara"],
    "East": ["Dmitri"],
    "West": ["Esi", "Farid"],
    "Central": ["Greta"],
}
TARGETS = [
    ("North", "Ada", 28000),
    ("South", "Chiara", 19000),
    ("East", "Dmitri", 12000),
    ("West", "Esi", 20000),
    ("Central", "Greta", 8000),
]


def main() -> None:
    for name, data in {"sample.xlsx": year(), **months(), **statements()}.items():
        (FOLDER / name).write_bytes(data)
        print(f"{name}: {len(data):,} bytes")


def year() -> bytes:
    """All orders, and a second sheet."""
    book = Workbook()
    book.remove(book.worksheets[0])
    orders = book.create_sheet("Orders")
    fill(orders, list(order_rows()), {"B": "yyyy-mm-dd", "G": "0.00", "H": "0%", "I": "#,##0.00"})
    targets = book.create_sheet("Targets")
    fill(targets, [("Region", "Manager", "Target"), *TARGETS], {"C": "#,##0"})
    return timeless(book)


def months() -> dict[str, bytes]:
    """January, and February with some orders of January in it, its columns in another order."""
    header, *orders = ([row[0], row[1], row[2], row[4], row[8]] for row in order_rows())
    january = [row for row in orders if isinstance(row[1], date) and row[1].month == 1]
    february = [row for row in orders if isinstance(row[1], date) and row[1].month == 2]
    as_text = [[row[0], f"{row[1]:%d/%m/%Y}", *row[2:]] for row in january]
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.title = "February"
    rows = [header, *january[-3:], *february]
    fill(sheet, [(row[4], row[0], row[3], row[1]) for row in rows], {"D": "yyyy-mm-dd"})
    return {
        "sample-january.csv": csv_bytes([header, *as_text]),
        "sample-february.xlsx": timeless(book),
    }


def statements() -> dict[str, bytes]:
    """Sixty orders as the ledger has them, and as the bank does: some are missing, some differ."""
    header, *orders = ((row[0], row[1], row[2], row[8]) for row in order_rows())
    ledger, bank = orders[:60], [list(row) for row in orders[3:64]]
    for number in (7, 19, 31):
        bank[number][3] = round(float(str(bank[number][3])) + number / 10, 2)
    book = Workbook()
    book.worksheets[0].title = "Ledger"
    fill(book.worksheets[0], [header, *ledger], {"B": "yyyy-mm-dd", "D": "#,##0.00"})
    return {
        "sample-ledger.xlsx": timeless(book),
        "sample-bank.csv": csv_bytes([header, *reversed(bank)]),
    }


def csv_bytes(rows: Sequence[Sequence[Value]]) -> bytes:
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue().encode()


def order_rows() -> Iterator[tuple[Value, ...]]:
    """The header and the orders by date; some have no seller, and most have no discount."""
    yield HEADER
    dice = random.Random(2025)  # noqa: S311  # plausible, not secret
    days = sorted(dice.randrange(364) for _ in range(ORDERS))
    for number, day in enumerate(days, start=1001):
        [region] = dice.choices(list(REGIONS), list(REGIONS.values()))
        seller = dice.choice(SELLERS[region]) if dice.random() > 0.03 else None
        product, price = dice.choice(list(PRODUCTS.items()))
        quantity = dice.randint(1, 8) * (5 if price < 30 else 1)
        discount = dice.choice([0.05, 0.1, 0.15]) if quantity >= 20 else None
        amount = round(quantity * price * (1 - (discount or 0)), 2)
        date_ = FIRST_DAY + timedelta(days=day)
        yield f"SO-{number}", date_, region, seller, product, quantity, price, discount, amount


def fill(sheet: Worksheet, rows: Sequence[tuple[Value, ...]], formats: dict[str, str]) -> None:
    for row in rows:
        sheet.append(row)
    for place in range(len(rows[0])):
        letter = get_column_letter(place + 1)
        sheet[f"{letter}1"].font = Font(bold=True)
        sheet.column_dimensions[letter].width = max(len(str(row[place])) for row in rows) + 3
        for cell in sheet[letter][1:]:
            cell.number_format = formats.get(letter, "General")
    sheet.freeze_panes = "A2"


def timeless(book: Workbook) -> bytes:
    """The workbook's bytes with one fixed date wherever the clock would show."""
    raw, fixed = io.BytesIO(), io.BytesIO()
    book.save(raw)
    with zipfile.ZipFile(raw) as source, zipfile.ZipFile(fixed, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "docProps/core.xml":
                data = re.sub(rb"\d{4}-\d\d-\d\dT[\d:]+Z", b"2025-01-01T00:00:00Z", data)
            entry = zipfile.ZipInfo(name, (2025, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(entry, data)
    return fixed.getvalue()


if __name__ == "__main__":
    main()
