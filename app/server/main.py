"""The ASGI application that gunicorn serves: `gunicorn -c app/server/gunicorn.conf.py app.server.main:app`."""

import sys

from app import create_app
from app.settings import SettingsError

from .asgi import ASGI

try:
    app = ASGI(create_app())
except SettingsError as error:
    # What only the app itself can tell of the settings, without the way that it took to tell it.
    sys.exit(str(error))
