"""One TOML file a theme; `tui.theme` validates and loads them. No code lives here."""
