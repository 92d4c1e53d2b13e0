"""Where each kind of function runs, and that all of one request's functions see the same request."""

import asyncio
import contextvars
import functools
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import flask
import pytest
from flask import abort, copy_current_request_context, flash, g, get_flashed_messages, request, session
from flask.views import MethodView, View
from werkzeug.exceptions import ServiceUnavailable

from app.server import LoopFlask, await_, on_loop
from tests.unit.server.client import make, on_a_loop, served, until

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


def place() -> str:
    """Which of the two this runs on."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return "thread"
    return "loop"


async def async_place() -> str:
    await asyncio.sleep(0)
    return place()


async def get_text(app: LoopFlask, path: str = "/") -> str:
    async with served(app) as client:
        response = await client.get(path)
        assert response.status == 200, response.text
        return response.text


@on_a_loop
async def test_an_async_view_under_a_decorator_that_knows_nothing_of_async_is_awaited() -> None:
    def decorator(view: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(view)
        def decorated() -> Any:
            return view()

        return decorated

    app = make()
    app.add_url_rule("/", view_func=decorator(async_place))
    assert await get_text(app) == "loop"


@on_a_loop
async def test_an_async_view_runs_on_the_loop() -> None:
    app = make()
    app.add_url_rule("/", view_func=async_place)
    assert await get_text(app) == "loop"


@on_a_loop
async def test_a_plain_view_runs_in_a_thread() -> None:
    app = make()
    app.add_url_rule("/", view_func=place)
    assert await get_text(app) == "thread"


@on_a_loop
async def test_a_plain_view_that_is_marked_stays_on_the_loop() -> None:
    app = make()
    app.add_url_rule("/", view_func=on_loop(lambda: place()))  # noqa: PLW0108 - `place` itself is not to be marked
    assert await get_text(app) == "loop"


@on_a_loop
async def test_a_package_whose_functions_never_block_stays_on_the_loop() -> None:
    app = make()
    app.on_loop_packages = frozenset({__name__.partition(".")[0]})
    app.add_url_rule("/", view_func=place)
    assert await get_text(app) == "loop"


@on_a_loop
async def test_a_partial_and_an_object_are_views_too() -> None:
    class Callable_:
        def __call__(self) -> str:
            return place()

    app = make()
    app.add_url_rule("/partial", "partial", functools.partial(place))
    app.add_url_rule("/object", "object", Callable_())
    async with served(app) as client:
        assert (await client.get("/partial")).text == "thread"
        assert (await client.get("/object")).text == "thread"


@on_a_loop
async def test_a_method_view_has_plain_and_async_methods() -> None:
    class Both(MethodView):
        def get(self) -> str:
            return place()

        async def post(self) -> str:
            return await async_place()

    app = make()
    app.add_url_rule("/", view_func=Both.as_view("both"))
    async with served(app) as client:
        assert (await client.get("/")).text == "thread"
        assert (await client.request("POST", "/")).text == "loop"


@on_a_loop
async def test_a_class_based_view_may_be_async() -> None:
    class Async(View):
        async def dispatch_request(self) -> str:
            return await async_place()

    app = make()
    app.add_url_rule("/", view_func=Async.as_view("view"))
    before = threading.enumerate()
    assert await get_text(app) == "loop"
    assert set(threading.enumerate()) <= set(before), "what only calls the method needs no thread"


@on_a_loop
async def test_a_decorator_of_a_class_based_view_runs_in_a_thread_and_the_view_on_the_loop() -> None:
    def decorator(view: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(view)
        def decorated(**arguments: Any) -> str:
            return place() + " " + view(**arguments)

        return decorated

    class Decorated(View):
        decorators = [decorator]  # noqa: RUF012

        async def dispatch_request(self) -> str:
            return await async_place()

    app = make()
    app.add_url_rule("/", view_func=Decorated.as_view("view"))
    assert await get_text(app) == "thread loop"


@pytest.mark.parametrize("kind", ["plain", "async", "marked"])
def test_every_hook_runs_where_its_kind_does(kind: str) -> None:
    app = make()
    places: dict[str, str] = {}

    def hook(name: str, result: Callable[..., Any] = lambda *_: None) -> Callable[..., Any]:
        def plain(*arguments: Any) -> Any:
            places[name] = place()
            return result(*arguments)

        async def asynchronous(*arguments: Any) -> Any:
            places[name] = await async_place()
            return result(*arguments)

        return {"plain": plain, "async": asynchronous, "marked": on_loop(functools.partial(plain))}[kind]

    app.before_request(hook("before_request"))
    app.after_request(hook("after_request", lambda response: response))
    app.teardown_request(hook("teardown_request"))
    app.teardown_appcontext(hook("teardown_appcontext"))
    app.errorhandler(LookupError)(hook("errorhandler", lambda error: "handled"))
    app.errorhandler(404)(hook("status handler", lambda error: ("missing", 404)))
    app.context_processor(hook("context_processor", dict))

    @app.get("/")
    @on_loop
    def view() -> str:
        flask.after_this_request(hook("after_this_request", lambda response: response))
        flask.render_template_string("")
        raise LookupError

    @on_a_loop
    async def scenario() -> None:
        async with served(app) as client:
            assert (await client.get("/")).text == "handled"
            assert (await client.get("/nowhere")).text == "missing"

    scenario()
    assert len(places) == 8
    assert set(places.values()) == {"thread" if kind == "plain" else "loop"}


@on_a_loop
async def test_an_error_handler_in_a_thread_sees_what_it_handles(caplog: pytest.LogCaptureFixture) -> None:
    app = make()

    @app.errorhandler(LookupError)
    def handle(error: LookupError) -> str:
        logging.getLogger(__name__).exception("handled")
        assert "pool.py" not in "".join(traceback.format_exception(error))
        return repr(sys.exc_info()[1])

    @app.get("/")
    async def view() -> str:
        raise LookupError("lost")

    assert await get_text(app) == "LookupError('lost')"
    (record,) = [record for record in caplog.records if record.message == "handled"]
    assert record.exc_info is not None
    assert record.exc_info[1].args == ("lost",)  # type: ignore[union-attr]


@on_a_loop
async def test_an_exception_of_a_thread_has_its_traceback() -> None:
    app = make()

    def blocking() -> None:
        raise LookupError("lost")

    @app.errorhandler(LookupError)
    async def handle(error: LookupError) -> str:
        return traceback.extract_tb(error.__traceback__)[-1].name

    @app.get("/")
    def view() -> str:
        blocking()
        return ""

    assert await get_text(app) == "blocking"


@pytest.mark.parametrize("error", [StopIteration("over"), SystemExit(3), KeyboardInterrupt()])
def test_an_exception_that_means_something_to_the_loop_is_the_requests_alone(error: BaseException) -> None:
    app = make()

    @app.get("/plain")
    def plain() -> str:
        raise error

    @app.get("/async")
    async def asynchronous() -> str:
        await asyncio.sleep(0)
        raise error

    app.add_url_rule("/fine", view_func=async_place)

    @on_a_loop
    async def scenario() -> None:
        async with served(app) as client:
            assert (await client.get("/plain")).status == 500
            assert (await client.get("/async")).status == 500
            assert (await client.get("/fine")).status == 200

    scenario()


@on_a_loop
async def test_context_variables_are_seen_by_all_of_a_request_and_by_no_other() -> None:
    app = make()
    seen: list[str] = []

    def note(value: str) -> None:
        seen.append(VARIABLE.get())
        VARIABLE.set(value)

    app.before_request(lambda: note("plain hook"))

    @app.before_request
    async def asynchronous() -> None:
        note("async hook")

    @app.get("/")
    def view() -> Any:
        note("view")

        def generate() -> Iterator[str]:
            note("first chunk")
            yield "a"
            note("second chunk")
            yield "b"

        return generate()

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        note("teardown")

    async with served(app) as client:
        assert (await client.get("/")).text == "ab"
        assert VARIABLE.get() == "unset"
        first = list(seen)
        seen.clear()
        await client.get("/")
    assert first == seen == ["unset", "plain hook", "async hook", "view", "teardown", "first chunk"]


@on_a_loop
async def test_a_context_variable_can_be_reset_by_another_hook_than_set_it() -> None:
    app = make()

    @app.before_request
    def begin() -> None:
        g.token = VARIABLE.set("in a request")

    @app.get("/")
    async def view() -> str:
        return VARIABLE.get()

    @app.teardown_request
    async def end(error: BaseException | None) -> None:
        # A token is good in the very context only that it was made in.
        VARIABLE.reset(g.token)

    assert await get_text(app) == "in a request"


@on_a_loop
async def test_g_session_and_flashes_work_across_hooks_views_generators_and_teardown() -> None:
    app = make()
    at_teardown: list[str] = []

    @app.before_request
    def before() -> None:
        g.trail = ["before"]
        session["count"] = session.get("count", 0) + 1
        flash("from the hook")

    @app.get("/async")
    async def asynchronous() -> str:
        g.trail.append("view")
        await asyncio.sleep(0)
        flash("from the view")
        return f"{session['count']} {get_flashed_messages()}"

    @app.get("/stream")
    def stream() -> Any:
        @flask.stream_with_context
        def generate() -> Iterator[str]:
            g.trail.append("stream")
            yield f"{session['count']} "
            yield request.path

        return generate()

    @app.after_request
    def after(response: flask.Response) -> flask.Response:
        g.trail.append("after")
        return response

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        at_teardown.append(" ".join(g.trail))

    async with served(app) as client:
        assert (await client.get("/async")).text == "1 ['from the hook', 'from the view']"
        assert (await client.get("/async")).text == "2 ['from the hook', 'from the view']"
        assert (await client.get("/stream")).text == "3 /stream"
    # Flask ends a request that is streamed twice: when the view has returned and after the stream.
    assert at_teardown == ["before view after", "before view after", "before after", "before after stream"]


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_stream_with_context_keeps_the_request_until_its_end(kind: str) -> None:
    app = make()

    def generate() -> Iterator[str]:
        yield request.args["name"]
        yield " again: "
        yield request.args["name"]

    if kind == "plain":
        app.add_url_rule("/", view_func=lambda: flask.stream_with_context(generate()))
    else:

        @app.get("/")
        async def view() -> Any:
            await asyncio.sleep(0)
            return flask.stream_with_context(generate())

    on_a_loop(get_text_is)(app, "/?name=jane", "jane again: jane")


async def get_text_is(app: LoopFlask, path: str, text: str) -> None:
    assert await get_text(app, path) == text


@on_a_loop
async def test_a_view_in_a_thread_can_wait_for_the_loop() -> None:
    app = make()

    @app.get("/")
    def view() -> str:
        async def ask() -> str:
            await asyncio.sleep(0)
            g.asked = request.args["name"]
            return await async_place()

        return f"{place()} {await_(ask())} {g.asked}"

    assert await get_text(app, "/?name=jane") == "thread loop jane"


@on_a_loop
async def test_what_a_thread_waits_for_on_the_loop_never_waits_for_a_thread() -> None:
    app = make(SERVER_THREADS=1)
    app.context_processor(lambda: {"where": place()})

    @app.get("/")
    def view() -> str:
        async def render() -> str:
            return flask.render_template_string("{{ where }}")

        return await_(render())

    # Were it to, the only thread would wait for itself.
    assert await get_text(app) == "loop"


@on_a_loop
async def test_an_async_view_may_render_a_template_with_an_async_context_processor() -> None:
    app = make()

    @app.context_processor
    async def processor() -> dict[str, str]:
        return {"where": await async_place()}

    @app.get("/")
    async def view() -> str:
        return flask.render_template_string("{{ where }}")

    assert await get_text(app) == "loop"


@on_a_loop
async def test_an_async_signal_receiver_is_awaited() -> None:
    app = make()
    received: list[str] = []

    @flask.request_started.connect_via(app)
    async def receiver(sender: LoopFlask, **_: Any) -> None:
        received.append(await async_place())

    app.add_url_rule("/", view_func=async_place)
    await get_text(app)
    assert received == ["loop"]


@on_a_loop
async def test_a_function_with_a_copied_request_context_is_called_just_so_in_a_thread_of_its_own() -> None:
    app = make()

    @app.get("/")
    def view() -> str:
        found: list[str] = []
        work = copy_current_request_context(lambda: found.append(request.path))
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return found[0]

    assert await get_text(app) == "/"


@on_a_loop
async def test_closing_callbacks_of_a_response_run_where_they_may_block() -> None:
    app = make()
    places: list[str] = []

    @app.get("/")
    async def view() -> flask.Response:
        response = flask.make_response("done")
        response.call_on_close(lambda: places.append(place()))
        return response

    await get_text(app)
    assert places == ["thread"]


@on_a_loop
async def test_a_blocking_view_and_hook_stop_nobody_else() -> None:
    app = make(SERVER_THREADS=2)
    release = threading.Event()
    started = threading.Semaphore(0)

    def block() -> None:
        started.release()
        release.wait(20)

    @app.before_request
    def hook() -> None:
        if request.path == "/hook":
            block()

    @app.get("/view")
    def view() -> str:
        block()
        return "late"

    app.add_url_rule("/hook", view_func=lambda: "late", endpoint="hook")

    quick = make()
    quick.add_url_rule("/", view_func=async_place)
    async with served(app) as client, served(quick) as other:
        slow = [asyncio.create_task(client.get(path)) for path in ("/view", "/hook")]
        await until(lambda: app.stats.threads_busy == 2 and started._value == 2)
        assert (await other.get("/")).text == "loop"
        assert not any(task.done() for task in slow)
        release.set()
        assert [(await task).text for task in slow] == ["late", "late"]


@on_a_loop
async def test_more_blocking_calls_than_threads_wait_and_are_counted() -> None:
    app = make(SERVER_THREADS=2)
    release = threading.Event()
    app.add_url_rule("/", view_func=lambda: str(release.wait(20)))
    async with served(app) as client:
        tasks = [asyncio.create_task(client.get("/")) for _ in range(5)]
        await until(lambda: app.stats.queued == 3)
        assert (app.stats.in_flight, app.stats.threads_busy) == (5, 2)
        release.set()
        for task in tasks:
            await task
        await until(lambda: app.stats.in_flight == 0)
        assert (app.stats.threads_busy, app.stats.queued) == (0, 0)


@on_a_loop
async def test_a_saturated_pool_refuses_with_the_apps_own_page_and_lets_async_views_pass() -> None:
    app = make(SERVER_THREADS=1)
    release = threading.Event()
    app.add_url_rule("/", view_func=lambda: str(release.wait(20)), endpoint="blocking")
    app.add_url_rule("/async", view_func=async_place)

    @app.errorhandler(ServiceUnavailable)
    @on_loop
    def busy(error: ServiceUnavailable) -> Any:
        return "our own page", 503, error.get_headers()

    async with served(app) as client:
        tasks = [asyncio.create_task(client.get("/")) for _ in range(5)]
        await until(lambda: app.stats.queued == 4)
        refused = await client.get("/")
        assert (refused.status, refused.text, refused.header("retry-after")) == (503, "our own page", "1")
        assert app.stats.queued == 4
        assert (app.stats.refused_at_pool, app.stats.refused_at_door) == (1, 0)
        assert (await client.get("/async")).text == "loop"
        release.set()
        assert [(await task).status for task in tasks] == [200] * 5


@pytest.mark.parametrize("kind", ["on the loop", "async", "async hook"])
def test_a_request_that_has_begun_is_not_refused_halfway(kind: str) -> None:
    app = make(SERVER_THREADS=1)
    release = threading.Event()
    torn_down: list[str] = []
    go_on = asyncio.Event()

    def block() -> str:
        release.wait(20)
        return ""

    app.add_url_rule("/block", view_func=block)

    @on_loop
    def marked() -> str:
        return "done"

    async def asynchronous() -> str:
        await go_on.wait()
        flask.render_template_string("")
        return "done"

    def plain() -> str:
        return "done"

    app.add_url_rule("/", "view", {"on the loop": marked, "async": asynchronous, "async hook": plain}[kind])

    if kind == "async hook":

        @app.before_request
        async def before() -> None:
            await go_on.wait()

    @app.context_processor
    def processor() -> dict[str, str]:
        return {"where": place()}

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        torn_down.append(request.path)

    @on_a_loop
    async def scenario() -> None:
        async with served(app) as client:
            if kind == "async hook":
                go_on.set()
            blocking = [asyncio.create_task(client.get("/block")) for _ in range(5)]
            await until(lambda: app.stats.queued == 4)
            go_on.set()
            ours = asyncio.create_task(client.get("/"))
            await until(lambda: app.stats.queued == 5)
            release.set()
            assert (await ours).text == "done"
            await asyncio.gather(*blocking)

    scenario()
    assert torn_down.count("/") == 1


def test_without_a_server_plain_functions_are_just_called() -> None:
    app = make()
    app.add_url_rule("/", view_func=lambda: str(threading.get_ident()), endpoint="plain")
    app.add_url_rule("/async", view_func=async_place)
    app.before_request(lambda: None)
    assert app.test_client().get("/").text == str(threading.get_ident())
    assert app.test_client().get("/async").text == "loop"


def test_without_a_server_async_views_hooks_and_handlers_see_the_request() -> None:
    app = make()

    @app.before_request
    async def before() -> None:
        g.before = request.path

    @app.get("/")
    async def view() -> str:
        session["seen"] = True
        raise LookupError

    @app.errorhandler(LookupError)
    async def handle(error: LookupError) -> str:
        return f"{g.before} {session['seen']}"

    @app.get("/abort")
    async def aborts() -> str:
        abort(418)

    with app.test_client() as client:
        assert client.get("/").text == "/ True"
        assert client.get("/abort").status_code == 418
        assert session["seen"]


def test_twenty_async_views_of_half_a_second_end_in_little_more_than_that() -> None:
    app = make()

    @app.get("/")
    async def view() -> str:
        await asyncio.sleep(0.5)
        return "done"

    @on_a_loop
    async def scenario() -> None:
        async with served(app) as client:
            began = time.monotonic()
            await asyncio.gather(*[client.get("/") for _ in range(20)])
            # One after the other it would be ten seconds.
            assert time.monotonic() - began < 5

    scenario()
