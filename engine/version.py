"""The version, as the package and the wire say it."""

VERSION = "0.1.0"
