"""The start page, for everybody."""

from flask import Blueprint, render_template

from app.auth import auth0

start = Blueprint("start", __name__, template_folder="templates")


@start.get("/")
async def home() -> str:
    """`async def`, because the SDK's methods are awaited."""
    return render_template("start.html", user=await auth0.get_user())
