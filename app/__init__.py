"""The dashboard: Panel pages over lsm_core. Installed as `lsm_app`."""
