"""Part types by the system of a car they belong to, and the marks of parts that are never recommended."""

from __future__ import annotations

# Each noun gives a type of its own and, with an ending, two more.
PART_SYSTEMS: dict[str, tuple[str, ...]] = {
    "fuel": (
        "Carburetor", "Fuel Pump", "Fuel Injector", "Fuel Regulator", "Throttle Body", "Fuel Tank",
        "Fuel Rail", "Fuel Line",
    ),
    "intake": (
        "Intake Manifold", "Air Cleaner", "Cold Air Intake", "Plenum", "Carburetor Spacer", "Air Filter",
    ),
    "exhaust": (
        "Exhaust Header", "Muffler", "Exhaust System", "Catalytic Converter", "Exhaust Manifold",
        "Exhaust Tip", "Resonator",
    ),
    "ignition": (
        "Distributor", "Ignition Coil", "Spark Plug", "Spark Plug Wire", "Ignition Box", "Magneto",
        "Rev Limiter",
    ),
    "electronics": (
        "Engine Computer", "Wiring Harness", "Oxygen Sensor", "Programmer", "Data Logger", "Camera",
        "Relay Panel",
    ),
    "gauges": ("Gauge", "Speedometer", "Tachometer", "Dash Panel", "Digital Dash", "Instrument Cluster"),
    "engine": (
        "Piston", "Connecting Rod", "Crankshaft", "Engine Block", "Timing Cover", "Oil Pump", "Oil Pan",
        "Harmonic Balancer",
    ),
    "valvetrain": (
        "Camshaft", "Cylinder Head", "Rocker Arm", "Valve Cover", "Valve Spring", "Lifter", "Pushrod",
        "Timing Chain",
    ),
    "boost": (
        "Supercharger", "Turbocharger", "Intercooler", "Blow Off Valve", "Wastegate", "Boost Controller",
    ),
    "nitrous": (
        "Nitrous System", "Nitrous Bottle", "Nitrous Solenoid", "Nitrous Plate", "Nitrous Controller",
    ),
    "cooling": (
        "Radiator", "Water Pump", "Electric Fan", "Thermostat Housing", "Coolant Tank", "Oil Cooler",
    ),
    "transmission": (
        "Transmission", "Torque Converter", "Shifter", "Valve Body", "Transmission Cooler", "Shift Kit",
        "Transmission Mount",
    ),
    "clutch": (
        "Clutch", "Flywheel", "Hydraulic Release Bearing", "Bellhousing", "Clutch Fork", "Pilot Bearing",
    ),
    "driveline": (
        "Driveshaft", "Differential", "Axle Shaft", "Ring and Pinion", "Differential Cover",
        "Transfer Case",
    ),
    "brakes": (
        "Brake Rotor", "Brake Caliper", "Brake Pad", "Master Cylinder", "Brake Line",
        "Proportioning Valve", "Brake Booster",
    ),
    "suspension": (
        "Coil Spring", "Shock Absorber", "Control Arm", "Sway Bar", "Leaf Spring", "Lowering Kit",
        "Coilover", "Subframe",
    ),
    "steering": (
        "Steering Wheel", "Steering Box", "Tie Rod", "Steering Column", "Power Steering Pump",
        "Rack and Pinion",
    ),
    "wheels": ("Wheel", "Wheel Spacer", "Tire", "Wheel Adapter", "Lug Nut", "Valve Stem"),
    "body": ("Hood", "Fender", "Grille", "Bumper", "Spoiler", "Mirror", "Tail Light", "Headlight"),
    "interior": (
        "Seat", "Carpet", "Door Panel", "Console", "Seat Belt", "Roll Bar", "Sun Visor", "Arm Rest",
    ),
}  # fmt: skip
PART_TYPE_ENDINGS: tuple[str, ...] = ("", " Kit", " Assembly")

# Types that the rules exclude, with the system they belong to.
EXCLUDED_PART_TYPES: tuple[tuple[str, str], ...] = (
    ("Carburetor Gasket", "fuel"), ("Intake Manifold Gasket Set", "intake"),
    ("Exhaust Header Gasket", "exhaust"), ("Engine Gasket Set", "engine"),
    ("Valve Cover Gasket", "valvetrain"), ("Oil Pan Gasket", "engine"), ("Decal", "body"),
    ("Window Decal Set", "body"), ("Ignition Lock and Key", "ignition"), ("Woodruff Key", "engine"),
    ("Flat Washer", "engine"), ("Washer Pump", "body"), ("Hose Clamp", "cooling"),
    ("Exhaust Clamp", "exhaust"), ("Muffler Clamp", "exhaust"), ("Exhaust Header Bolt", "exhaust"),
    ("Flywheel Bolt", "clutch"), ("Wheel Bolt", "wheels"), ("Carburetor Stud and Bolt", "fuel"),
    ("Radiator Cap", "cooling"), ("Oil Filler Cap", "valvetrain"), ("Fuel Tank Cap", "fuel"),
    ("Valve Stem Cap", "wheels"),
)  # fmt: skip
# Types that look excluded and are not.
EXCEPTED_PART_TYPES: tuple[tuple[str, str], ...] = (
    ("Engine Cylinder Head Bolt", "valvetrain"), ("Engine Bolt Kit", "engine"),
    ("Distributor Cap", "ignition"), ("Distributor Cap and Rotor Kit", "ignition"),
    ("Wheel Hub Cap", "wheels"), ("Wheel Cap Set", "wheels"),
)  # fmt: skip
UNKNOWN_PART_TYPE = "UNKNOWN"

SERVICE_PREFIXES: tuple[str, ...] = ("EXT-", "GIFT-", "WARRANTY-", "SERVICE-", "PREAUTH-")
