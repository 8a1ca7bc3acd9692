"""The dashboard: Panel pages over lsm_core. Installed as `lsm_app`."""

from lsm_app import in_notebook as in_notebook
