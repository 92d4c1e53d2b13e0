"""Notes, for who is signed in: a whole blueprint behind one guard."""

from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from app.auth import auth0, require_login

notes = Blueprint("notes", __name__, url_prefix="/notes", template_folder="templates")
notes.before_request(require_login)


@notes.get("/")
async def index() -> str:
    """Show what the person kept."""
    return render_template("notes.html", user=await auth0.get_user(), notes=session.get("notes", []))


@notes.post("/")
def add() -> Response:
    """Keep one more. A plain `def` runs in a thread, so it may block: on a database, on a file."""
    note = request.form.get("note", "").strip()
    if not 0 < len(note) <= 200:
        abort(400)
    # The cookie is SameSite=Lax, so no other site's form arrives here as this person's.
    session["notes"] = [*session.get("notes", []), note][-10:]
    return redirect(url_for("notes.index"), 303)
