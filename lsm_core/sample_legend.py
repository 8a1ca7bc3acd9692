"""What the sample area is made of: its faults, rocks, covers, and how they look from above."""

# Longitude and latitude, read off the relief: the Jacksboro fault and the front of Pine Mountain.
FAULTS = {
    "Jacksboro": [
        (-84.345, 36.745), (-84.315, 36.710), (-84.275, 36.655), (-84.235, 36.605),
        (-84.200, 36.545), (-84.165, 36.500), (-84.170, 36.470), (-84.190, 36.435),
    ],
    "Pine Mountain": [(-84.235, 36.605), (-84.190, 36.632), (-84.130, 36.672), (-84.070, 36.710)],
}  # fmt: skip

# Code: name, cohesion (kPa), angle of friction (degrees).
LITHOLOGY = {
    1: ("Alluvium", 4.0, 29.0),
    2: ("Limestone", 12.0, 33.0),
    3: ("Dolomite", 13.0, 34.0),
    4: ("Shale", 5.0, 24.0),
    5: ("Siltstone with coal", 7.0, 27.0),
    6: ("Sandstone", 10.0, 31.0),
    7: ("Conglomerate", 12.0, 33.0),
}
# Code: name, cohesion of roots (kPa), reflectance in blue, green, red and near infrared.
LAND_COVER = {
    1: ("Forest", 4.0, (0.03, 0.05, 0.04, 0.35)),
    2: ("Shrub", 2.0, (0.05, 0.08, 0.07, 0.30)),
    3: ("Pasture", 1.0, (0.05, 0.09, 0.08, 0.38)),
    4: ("Cropland", 0.5, (0.07, 0.11, 0.12, 0.33)),
    5: ("Built-up", 2.0, (0.12, 0.14, 0.16, 0.22)),
    6: ("Bare ground", 0.0, (0.11, 0.15, 0.20, 0.27)),
}
SCAR = (0.13, 0.18, 0.24, 0.30)
# Crops that stood before the landslides and were harvested after: a change that is no landslide.
STANDING = (0.04, 0.07, 0.05, 0.42)
BANDS = ("blue", "green", "red", "nir")
