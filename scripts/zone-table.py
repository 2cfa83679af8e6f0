#!/usr/bin/env python3
"""Makes callcore/src/zones/table.txt from the `phonenumbers` package (Apache-2.0).

    pip download --no-deps -d wheel phonenumbers && unzip -d wheel wheel/*.whl
    PYTHONPATH=wheel scripts/zone-table.py > callcore/src/zones/table.txt

Under +1 one line stands for a whole area code: a number may have been ported anywhere within it,
and the keys of single exchanges miss the ones given out since they were collected.
"""

import phonenumbers
from phonenumbers.tzdata import TIMEZONE_DATA

# Old names, by the name that the IANA database uses now.
RENAMED = {
    "Africa/Asmera": "Africa/Asmara",
    "America/Buenos_Aires": "America/Argentina/Buenos_Aires",
    "America/Coral_Harbour": "America/Atikokan",
    "America/Godthab": "America/Nuuk",
    "America/Indianapolis": "America/Indiana/Indianapolis",
    "America/Louisville": "America/Kentucky/Louisville",
    "Asia/Calcutta": "Asia/Kolkata",
    "Asia/Choibalsan": "Asia/Ulaanbaatar",
    "Asia/Katmandu": "Asia/Kathmandu",
    "Asia/Rangoon": "Asia/Yangon",
    "Asia/Saigon": "Asia/Ho_Chi_Minh",
    "Atlantic/Faeroe": "Atlantic/Faroe",
    "Europe/Kiev": "Europe/Kyiv",
    "Pacific/Enderbury": "Pacific/Kanton",
    "Pacific/Ponape": "Pacific/Pohnpei",
    "Pacific/Truk": "Pacific/Chuuk",
}

# An overlay serves the very area of its parent, but its own keys are few and miss zones.
OVERLAYS = {
    "448": ["850"],
    "364": ["270"],
    "930": ["812"],
    "458": ["541"],
    "986": ["208"],
    # All of British Columbia.
    "236": ["250", "604"],
    "257": ["250", "604"],
    "672": ["250", "604"],
    "778": ["250", "604"],
    # Saskatchewan, which has no daylight saving time; upstream says Winnipeg.
    "474": ["306"],
}


def fixed(prefix, zones):
    zones = {RENAMED.get(zone, zone) for zone in zones}
    if prefix.startswith("7") and "Europe/Bucharest" in zones:
        # Kaliningrad left daylight saving time, Bucharest did not.
        zones = zones - {"Europe/Bucharest"} | {"Europe/Kaliningrad"}
    if prefix.startswith("212"):
        # Upstream says Canary, an hour off for most of the year.
        zones = {"Africa/Casablanca"}
    if prefix.startswith("643") and "Pacific/Chatham" in zones:
        # 03 30 is the South Island too.
        zones = zones | {"Pacific/Auckland"}
    if prefix.startswith("1867"):
        # Upstream has one zone for three territories.
        zones = zones | {"America/Whitehorse", "America/Inuvik", "America/Iqaluit"}
    return zones


def table():
    areas, out = {}, {}
    for prefix, zones in TIMEZONE_DATA.items():
        if prefix == "1":
            continue  # 42 zones: no better than not knowing
        zones = fixed(prefix, zones)
        if prefix.startswith("1"):
            areas.setdefault(prefix[1:4], set()).update(zones)
        else:
            out[prefix] = zones
    for area, parents in OVERLAYS.items():
        own = set() if area == "474" else areas.get(area, set())
        areas[area] = own.union(*(areas[parent] for parent in parents))
    out.update({"1" + area: zones for area, zones in areas.items()})
    # A country's own key answers for the numbers that no area is known of: it has every zone.
    # Kazakhstan is +7 7.
    for country in [*phonenumbers.COUNTRY_CODE_TO_REGION_CODE, 77]:
        zones = [z for p, z in out.items() if p.startswith(str(country))]
        if country != 1 and zones:
            out[str(country)] = set().union(*zones)
    # A longer prefix that says what the next shorter one says adds nothing.
    return {p: z for p, z in out.items() if nearest(out, p[:-1]) != z}


def nearest(table, prefix):
    while prefix and prefix not in table:
        prefix = prefix[:-1]
    return table.get(prefix)


def main():
    print(f"""\
# Time zones by the first digits of an E.164 number; the longest prefix that fits holds.
# Made by scripts/zone-table.py from the Python package phonenumbers {phonenumbers.__version__}; do not edit.
#
# Copyright (C) 2011-2026 The Libphonenumber Authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#   http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
#
# Changed from the original: the keys of each North American area code are joined, a country's
# key has all its zones, overlays take their parent's zones, names are current, and what the
# script says of +1 474, +1 867, +7, +64 3 and +212 is mended.
#
# Each line: the zones, then every prefix that has them.""")
    by_zones = {}
    for prefix, zones in table().items():
        by_zones.setdefault(tuple(sorted(zones)), []).append(prefix)
    for zones, prefixes in sorted(by_zones.items()):
        print(",".join(zones), " ".join(sorted(prefixes)))


if __name__ == "__main__":
    main()
