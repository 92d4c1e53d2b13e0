"""Home, profile, and a call to an API with the user's access token."""

import json
from typing import Any

from flask import Blueprint, abort, current_app, redirect, render_template, request
from werkzeug.wrappers import Response

from app.auth import auth0, devices, end_all_devices, end_device, is_own_form, login_required, session_ends

pages = Blueprint("pages", __name__, template_folder="templates")


@pages.get("/")
async def home() -> str:
    """Say hello, with the way in or out."""
    return render_template("home.html", user=await auth0.get_user())


@pages.get("/profile")
@login_required
async def profile() -> str:
    """Show who is signed in, what the identity provider says of them, and when the session ends."""
    user = await auth0.get_user() or {}
    claims = {name: _text(value) for name, value in user.items() if value is not None}
    return render_template("profile.html", user=user, claims=claims, ends=session_ends(), devices=await devices())


@pages.post("/profile/sessions")
@login_required
async def end_sessions() -> Response:
    """End one of the user's sessions (`name` in the form), or all of them."""
    if not is_own_form():
        abort(403)
    name = request.form.get("name")
    if name:
        await end_device(name)
        return redirect("/profile", 303)
    await end_all_devices()
    # This one has ended as well; here it is the provider's that ends, and what the browser kept of pages.
    return redirect("/logout", 303)


@pages.get("/api-call")
@login_required
async def api_call() -> str:
    """Ask the provider's `/userinfo` (OpenID Connect Core, 5.3) with the user's access token."""
    url = f"https://{current_app.config['AUTH0_DOMAIN']}/userinfo"
    token = await auth0.get_access_token()
    async with auth0.http_client() as http:
        answer = await http.get(url, headers={"Authorization": f"Bearer {token}"})
    is_json = answer.headers.get("Content-Type", "").startswith("application/json")
    text = _text(answer.json(), indent=2) if is_json else answer.text
    return render_template("api_call.html", user=await auth0.get_user(), url=url, status=answer.status_code, text=text)


def _text(value: Any, indent: int | None = None) -> str:
    """Text as it is, anything else as the JSON that it was."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=indent)
