"""What measures the cost of containers works: each way answers, the table is complete. How much is no test's to say."""

from pathlib import Path

from tests.compose.stack import ROOT, Stack
from tests.load.containers import BEGIN, END, WAYS, measure, measured, renewed
from tests.load.rounds import Durations

# Long enough for an answer on a busy machine.
SHORT = Durations(rounds=1, warm_up=1, timed=4)


def test_the_stack_and_its_processes_without_containers_answer_alike_and_are_measured(
    stack: Stack, tmp_path: Path
) -> None:
    said: list[str] = []
    turns = measure(stack, SHORT, tmp_path, said.append)
    assert list(turns) == list(WAYS)
    assert len(said) == len(WAYS)
    for (turn,) in turns.values():
        assert turn.errors == 0
        assert turn.requests_per_second > 0
        assert turn.services_cpu_us > 0
    text = measured(turns, "12.3", ["80MiB", "81MiB"])
    rows = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert len(rows) == len(["what it comes to", "each way"])
    page = (ROOT / "docs" / "compose.md").read_text()
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    assert renewed(renewed(page, "anything"), text) == f"{before}{BEGIN}{text}{END}{after}"
