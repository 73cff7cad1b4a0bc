"""Names of properties are the contract's in any case and with white space around them."""

from __future__ import annotations

from sql.shop import Shop

PADDING = ["", " ", "\t", "\u00a0"]


def test_names_of_attributes_are_trimmed(shop: Shop) -> None:
    """The setting's name too; whoever says no under it gets nothing."""
    shop.fits("1967", "FORD", "MUSTANG", "P1")
    for number, pad in enumerate(PADDING):
        for answer in ("yes", "no"):
            names = {"V1_YEAR": "1967", "v1_make": "Ford", "v1_Model": "Mustang", "Consent": answer}
            names |= {"Email": f"{answer}{number}@x.com"}
            named = {f"{pad}{name}{pad}": value for name, value in names.items()}
            shop.attributes(f"{answer}{number}", named, "2025-08-01")
    users = shop.run("user_nodes", consent_property=" CONSENT\t")
    assert [(user["email_lower"], user["year"], user["make"], user["model"]) for user in users] == [
        (f"yes{number}@x.com", 1967, "FORD", "MUSTANG") for number in range(4)
    ]


def test_names_of_event_properties_are_trimmed(shop: Shop) -> None:
    for number, pad in enumerate(PADDING):
        values = {f"{pad}PRODUCTID{pad}": f"P{number}", f"{pad}price{pad}": "9.5"}
        shop.event("v", "Viewed Product", "2025-12-01", **values)
    rows = shop.run("interaction_events")
    assert sorted((row["base_sku"], row["price"]) for row in rows) == [(f"P{n}", 9.5) for n in range(4)]


def test_a_property_without_a_name_is_no_consent_where_no_setting_names_one(shop: Shop) -> None:
    shop.driver("u1")
    shop.attributes("u1", {" ": "no"}, "2025-09-01")
    assert [user["email_lower"] for user in shop.run("user_nodes", consent_property=" ")] == ["u1@x.com"]
