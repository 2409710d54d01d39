"""The app's HTTP interface: every call, every refusal."""
