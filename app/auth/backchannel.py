"""`POST /backchannel-logout`: where the provider says that somebody has signed out elsewhere."""

from auth0_server_python.error import BackchannelLogoutError
from flask import Blueprint, Response, current_app, jsonify, make_response, request

from app.sessions import StoreUnavailable

from . import auth0, events

backchannel = Blueprint("backchannel", __name__)

_LONGEST = 8192
# Of the form: all of it is taken apart, on the loop, before it is known who sent it.
_LARGEST_BYTES = 16_384


@backchannel.post("/backchannel-logout")
async def backchannel_logout() -> Response:
    """End the sessions that the form's `logout_token` names (OpenID Connect Back-Channel Logout 1.0, 2.5 to 2.8)."""
    if not current_app.config["AUTH0_BACKCHANNEL_LOGOUT"]:
        _tell("unsupported")
        return _answer(501, "unsupported", "Sessions of this app cannot be ended from outside.")
    request.max_content_length = _LARGEST_BYTES
    tokens = request.form.getlist("logout_token")
    if request.mimetype != "application/x-www-form-urlencoded" or len(tokens) != 1 or len(tokens[0]) > _LONGEST:
        _tell("refused", reason="the request is no form with one logout token")
        return _answer(400, "invalid_request", "The request must be a form with one logout_token.")
    try:
        ended = await auth0.handle_backchannel_logout(tokens[0])
    except BackchannelLogoutError as error:
        _tell("refused", reason=str(error))
        return _answer(400, "invalid_request", "The logout token is not valid.")
    except StoreUnavailable:
        _tell("unavailable")
        # The specification knows no other status for a logout that failed.
        return _answer(400, "logout_failed", "Sessions cannot be reached at the moment.")
    _tell("ended", sessions=ended.sessions, user=ended.user)
    return _answer(200)


def _tell(outcome: str, *, sessions: int = 0, reason: str = "", user: str | None = None) -> None:
    events.tell(events.backchannel_answered, outcome=outcome, sessions=sessions, reason=reason, user=user)


def _answer(status: int, error: str = "", description: str = "") -> Response:
    response = jsonify(error=error, error_description=description) if error else make_response("")
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    return response
