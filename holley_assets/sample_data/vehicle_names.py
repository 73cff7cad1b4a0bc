"""Makes, models and generations that a person who knows cars recognises, and words for made-up models."""

from __future__ import annotations

from typing import NamedTuple


class NamedModel(NamedTuple):
    """A model with the first and last year it was built."""

    make: str
    model: str
    first_year: int
    last_year: int


class NamedFamily(NamedTuple):
    """Models on shared platforms; a generation is the (first, last) year of one platform."""

    models: tuple[NamedModel, ...]
    generations: tuple[tuple[int, int], ...]


# Makes of one manufacturer: platforms, and parts that fit several families, stay mostly within a group.
MAKE_GROUPS: tuple[tuple[str, ...], ...] = (
    ("CHEVROLET", "PONTIAC", "GMC", "BUICK", "OLDSMOBILE", "CADILLAC", "SATURN"),
    ("FORD", "MERCURY", "LINCOLN", "EDSEL"),
    ("DODGE", "PLYMOUTH", "CHRYSLER", "RAM", "JEEP", "DESOTO"),
    ("TOYOTA", "LEXUS", "SCION"),
    ("HONDA", "ACURA"),
    ("NISSAN", "INFINITI", "DATSUN"),
    ("SUBARU", "MAZDA", "MITSUBISHI"),
    ("VOLKSWAGEN", "AUDI", "PORSCHE"),
    ("BMW", "MINI"),
    ("AMC", "STUDEBAKER", "HUDSON", "NASH"),
    ("MERCEDES-BENZ", "FREIGHTLINER"),
    ("INTERNATIONAL", "WILLYS", "KAISER"),
)

# In order of the number of owners.
NAMED_FAMILIES: tuple[NamedFamily, ...] = (
    NamedFamily(
        (NamedModel("FORD", "MUSTANG", 1964, 2024), NamedModel("MERCURY", "COUGAR", 1967, 1973)),
        ((1964, 1970), (1971, 1973), (1974, 1978), (1979, 1993), (1994, 2004), (2005, 2014), (2015, 2024)),
    ),
    NamedFamily(
        (NamedModel("CHEVROLET", "CAMARO", 1967, 2024), NamedModel("PONTIAC", "FIREBIRD", 1967, 2002)),
        ((1967, 1969), (1970, 1981), (1982, 1992), (1993, 2002), (2010, 2015), (2016, 2024)),
    ),
    NamedFamily(
        (NamedModel("CHEVROLET", "C10", 1960, 1987), NamedModel("GMC", "C15", 1967, 1987)),
        ((1960, 1966), (1967, 1972), (1973, 1987)),
    ),
    NamedFamily(
        (NamedModel("CHEVROLET", "CORVETTE", 1953, 2024),),
        ((1953, 1962), (1963, 1967), (1968, 1982), (1984, 1996), (1997, 2004), (2005, 2013), (2014, 2024)),
    ),
    NamedFamily(
        (
            NamedModel("CHEVROLET", "CHEVELLE", 1964, 1977),
            NamedModel("PONTIAC", "GTO", 1964, 1974),
            NamedModel("BUICK", "SKYLARK", 1964, 1972),
            NamedModel("OLDSMOBILE", "CUTLASS", 1964, 1988),
        ),
        ((1964, 1967), (1968, 1972), (1973, 1977), (1978, 1988)),
    ),
    NamedFamily(
        (NamedModel("FORD", "F-150", 1975, 2024),),
        ((1975, 1979), (1980, 1986), (1987, 1996), (1997, 2003), (2004, 2014), (2015, 2024)),
    ),
    NamedFamily(
        (NamedModel("CHEVROLET", "SILVERADO 1500", 1999, 2024), NamedModel("GMC", "SIERRA 1500", 1999, 2024)),
        ((1999, 2006), (2007, 2013), (2014, 2018), (2019, 2024)),
    ),
    NamedFamily(
        (NamedModel("CHEVROLET", "NOVA", 1962, 1979), NamedModel("PONTIAC", "VENTURA", 1971, 1977)),
        ((1962, 1967), (1968, 1974), (1975, 1979)),
    ),
    NamedFamily(
        (NamedModel("DODGE", "CHALLENGER", 1970, 2023), NamedModel("PLYMOUTH", "BARRACUDA", 1967, 1974)),
        ((1967, 1969), (1970, 1974), (2008, 2014), (2015, 2023)),
    ),
    NamedFamily(
        (
            NamedModel("DODGE", "CHARGER", 1966, 2023),
            NamedModel("PLYMOUTH", "ROAD RUNNER", 1968, 1974),
            NamedModel("CHRYSLER", "300", 2005, 2023),
        ),
        ((1966, 1970), (1971, 1974), (2005, 2010), (2011, 2023)),
    ),
    NamedFamily(
        (NamedModel("JEEP", "WRANGLER", 1987, 2024), NamedModel("JEEP", "CJ7", 1976, 1986)),
        ((1976, 1986), (1987, 1995), (1997, 2006), (2007, 2018), (2019, 2024)),
    ),
    NamedFamily(
        (NamedModel("CHEVROLET", "IMPALA", 1958, 1985), NamedModel("CHEVROLET", "BEL AIR", 1955, 1975)),
        ((1955, 1957), (1958, 1964), (1965, 1970), (1971, 1976), (1977, 1985)),
    ),
    NamedFamily(
        (NamedModel("DODGE", "DART", 1963, 1976), NamedModel("PLYMOUTH", "DUSTER", 1970, 1976)),
        ((1963, 1966), (1967, 1976)),
    ),
    NamedFamily(
        (NamedModel("CHEVROLET", "EL CAMINO", 1959, 1987),),
        ((1959, 1960), (1964, 1967), (1968, 1972), (1973, 1977), (1978, 1987)),
    ),
    NamedFamily(
        (NamedModel("FORD", "F-100", 1953, 1983), NamedModel("FORD", "BRONCO", 1966, 1996)),
        ((1953, 1956), (1957, 1966), (1967, 1972), (1973, 1979), (1980, 1996)),
    ),
    NamedFamily(
        (NamedModel("CHEVROLET", "MONTE CARLO", 1970, 1988), NamedModel("BUICK", "REGAL", 1973, 1987)),
        ((1970, 1972), (1973, 1977), (1978, 1988)),
    ),
    NamedFamily(
        (NamedModel("FORD", "FAIRLANE", 1962, 1970), NamedModel("FORD", "TORINO", 1968, 1976)),
        ((1962, 1965), (1966, 1970), (1971, 1976)),
    ),
    NamedFamily(
        (NamedModel("HONDA", "CIVIC", 1988, 2024), NamedModel("ACURA", "INTEGRA", 1990, 2001)),
        ((1988, 1991), (1992, 1995), (1996, 2000), (2001, 2005), (2006, 2011), (2012, 2015), (2016, 2024)),
    ),
    NamedFamily(
        (NamedModel("RAM", "1500", 1994, 2024), NamedModel("RAM", "2500", 1994, 2024)),
        ((1994, 2001), (2002, 2008), (2009, 2018), (2019, 2024)),
    ),
    NamedFamily(
        (NamedModel("CHEVROLET", "S10", 1982, 2004), NamedModel("GMC", "SONOMA", 1991, 2004)),
        ((1982, 1993), (1994, 2004)),
    ),
    NamedFamily(
        (NamedModel("PONTIAC", "CATALINA", 1959, 1981), NamedModel("PONTIAC", "BONNEVILLE", 1958, 1981)),
        ((1958, 1964), (1965, 1970), (1971, 1976), (1977, 1981)),
    ),
    NamedFamily(
        (NamedModel("SUBARU", "WRX", 2002, 2024),), ((2002, 2007), (2008, 2014), (2015, 2021), (2022, 2024))
    ),
    NamedFamily(
        (NamedModel("VOLKSWAGEN", "BEETLE", 1954, 1979), NamedModel("PORSCHE", "911", 1965, 2024)),
        ((1954, 1967), (1968, 1979), (1980, 1989), (1990, 1998), (1999, 2012), (2013, 2024)),
    ),
    NamedFamily(
        (
            NamedModel("NISSAN", "350Z", 2003, 2009),
            NamedModel("NISSAN", "370Z", 2010, 2020),
            NamedModel("DATSUN", "280Z", 1970, 1978),
        ),
        ((1970, 1978), (2003, 2009), (2010, 2020)),
    ),
    NamedFamily(
        (NamedModel("TOYOTA", "TACOMA", 1995, 2024), NamedModel("TOYOTA", "4RUNNER", 1990, 2024)),
        ((1990, 1994), (1995, 2004), (2005, 2015), (2016, 2024)),
    ),
    NamedFamily(
        (
            NamedModel("FORD", "FALCON", 1960, 1970),
            NamedModel("MERCURY", "COMET", 1960, 1977),
            NamedModel("FORD", "MAVERICK", 1970, 1977),
        ),
        ((1960, 1965), (1966, 1970), (1971, 1977)),
    ),
    NamedFamily(
        (NamedModel("BMW", "M3", 1988, 2024),),
        ((1988, 1991), (1995, 1999), (2001, 2006), (2008, 2013), (2015, 2024)),
    ),
    NamedFamily(
        (NamedModel("AMC", "JAVELIN", 1968, 1974), NamedModel("AMC", "AMX", 1968, 1974)),
        ((1968, 1970), (1971, 1974)),
    ),
    NamedFamily(
        (NamedModel("FORD", "RANGER", 1983, 2011), NamedModel("FORD", "EXPLORER", 1991, 2010)),
        ((1983, 1992), (1993, 1997), (1998, 2011)),
    ),
    NamedFamily(
        (NamedModel("MERCURY", "MONTEREY", 1955, 1974), NamedModel("FORD", "GALAXIE", 1959, 1974)),
        ((1955, 1959), (1960, 1964), (1965, 1968), (1969, 1974)),
    ),
)

# Words and endings of the models that make up the long tail; their combinations are far more than 2,000.
MODEL_WORDS: tuple[str, ...] = (
    "ALPINE", "AMBER", "APEX", "ARROW", "ASPEN", "ATLAS", "AVENUE", "BADGER", "BARON", "BASIN", "BEACON",
    "BISON", "BOREAL", "BREEZE", "CANYON", "CASCADE", "CEDAR", "CHINOOK", "CITADEL", "COBALT", "CONDOR",
    "COYOTE", "CREST", "DELTA", "DRIFTER", "DUNE", "EMBER", "ENVOY", "FALCONER", "FJORD", "GALE",
    "GLACIER", "GRANITE", "HARBOR", "HAWK", "HORIZON", "ISLANDER", "JASPER", "JUNIPER", "KESTREL",
    "LAGOON", "LARK", "MARINER", "MESA", "METEOR", "MISTRAL", "NOMADIC", "ORBIT", "OSPREY", "PACER",
    "PALISADE", "PIONEER", "PRAIRIE", "QUARTZ", "RAVEN", "RIDGE", "SABLE", "SAVANNA", "SIERRAN", "SUMMIT",
    "TEMPEST", "TIMBER", "VISTA", "ZEPHYR",
)  # fmt: skip
MODEL_ENDINGS: tuple[str, ...] = (
    "", " 100", " 1500", " 200", " 2500", " 300", " 350", " 400", " 500", " 88", " 98", " CUSTOM",
    " DELUXE", " DL", " ES", " EX", " GL", " GLS", " GS", " GT", " GTS", " LE", " LIMITED", " LS", " LT",
    " LX", " RS", " S", " SE", " SL", " SPECIAL", " SPORT", " SS", " STX", " TOURING", " WAGON", " X",
    " XL", " XR", " Z",
)  # fmt: skip

# Vehicles that users own and no part fits.
ORPHAN_VEHICLES: tuple[tuple[str, str], ...] = (
    ("HARLEY-DAVIDSON", "ROAD KING"), ("YAMAHA", "R1"), ("POLARIS", "RZR"), ("LAND ROVER", "DEFENDER"),
    ("TRIUMPH", "SPITFIRE"), ("FERRARI", "308"), ("ARCTIC CAT", "PROWLER"), ("INDIAN", "SCOUT"),
)  # fmt: skip
