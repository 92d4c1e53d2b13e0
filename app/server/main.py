"""The ASGI application that gunicorn serves: `gunicorn -c app/server/gunicorn.conf.py app.server.main:app`."""

from app import create_app

from .asgi import ASGI

app = ASGI(create_app())
