"""The agents of a run, as the leading process handles them: start, hear, tell, end.

Agents are fresh interpreters (spawn): a fork would copy an event loop and half a terminal display.
"""

import multiprocessing
import multiprocessing.connection
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Final, TypeVar

from loadtest.play.agent import main
from loadtest.play.orders import Assignment, Begin, Begun, Failed, Finish, Harvest, Progress, Ready

READY_S_MAX: Final = 120.0
BEGUN_S_MAX: Final = 10.0
HARVEST_S_MAX: Final = 120.0
END_S_MAX: Final = 5.0

Message = TypeVar("Message", Ready, Begun, Harvest)


class CrewFailed(Exception):
    """An agent could not do its part, or died."""


class Crew:
    """All agents of one run. Use as a context: leaving it ends every process.

    Args:
        assignments: one for each process.
    """

    def __init__(self, assignments: Sequence[Assignment]) -> None:
        self._assignments = assignments
        self._processes: list[BaseProcess] = []
        self._lines: list[Connection] = []

    def __enter__(self) -> "Crew":
        context = multiprocessing.get_context("spawn")
        for assignment in self._assignments:
            ours, theirs = context.Pipe()
            process = context.Process(
                target=main, args=(assignment, theirs), name=f"loadtest-agent-{assignment.process}", daemon=True
            )
            process.start()
            theirs.close()
            self._processes.append(process)
            self._lines.append(ours)
        return self

    def __exit__(self, *_: object) -> None:
        for line in self._lines:
            line.close()
        for process in self._processes:
            process.join(END_S_MAX)
            if process.is_alive():
                process.kill()
                process.join()

    @property
    def pids(self) -> list[int]:
        """The processes of the agents."""
        return [process.pid for process in self._processes if process.pid is not None]

    def wait_ready(self) -> list[Ready]:
        """Wait until every client of every agent stands ready.

        Raises:
            CrewFailed: one could not.
        """
        return self._one_each(Ready, READY_S_MAX)

    def begin(self, begin: Begin) -> None:
        """Tell all agents when to begin, and wait until they count.

        Raises:
            CrewFailed: an agent died.
        """
        for line in self._lines:
            line.send(begin)
        self._one_each(Begun, BEGUN_S_MAX)

    def progress(self, timeout_s: float) -> list[Progress]:
        """What the agents report within this time; empty when none does.

        Raises:
            CrewFailed: an agent died.
        """
        heard = []
        for line in multiprocessing.connection.wait(self._lines, timeout_s):
            message = self._receive(self._lines[self._lines.index(line)])  # type: ignore[arg-type]
            if isinstance(message, Progress):
                heard.append(message)
        return heard

    def finish(self) -> list[Harvest]:
        """End the run at all agents and take their books.

        Raises:
            CrewFailed: an agent did not hand them over.
        """
        for line in self._lines:
            line.send(Finish())
        return self._one_each(Harvest, HARVEST_S_MAX)

    def _one_each(self, kind: type[Message], timeout_s: float) -> list[Message]:
        deadline_s = time.monotonic() + timeout_s
        answers: dict[int, Message] = {}
        while len(answers) < len(self._lines):
            waiting = [line for index, line in enumerate(self._lines) if index not in answers]
            ready = multiprocessing.connection.wait(waiting, max(deadline_s - time.monotonic(), 0))
            if not ready:
                raise CrewFailed(f"{len(waiting)} agents did not answer within {timeout_s:.0f} s")
            for line in ready:
                index = self._lines.index(line)  # type: ignore[arg-type]
                message = self._receive(self._lines[index])
                if isinstance(message, kind):
                    answers[index] = message
        return [answers[index] for index in range(len(self._lines))]

    def _receive(self, line: Connection) -> object:
        try:
            message = line.recv()
        except (EOFError, OSError) as exc:
            raise CrewFailed("an agent died; its error stands above") from exc
        if isinstance(message, Failed):
            raise CrewFailed(message.reason)
        return message
