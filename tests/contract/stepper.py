"""A sequencer in a process of its own that waits at each step: ``python -m tests.contract.stepper``.

It prints the name of the step and waits for a line: ``idle``, ``read`` (the snapshot is read, nothing is locked
yet), ``written`` (not committed yet).
"""

import sys

import django


def pause(name: str) -> None:
    print(name, flush=True)
    if not sys.stdin.readline():
        sys.exit()


def main() -> None:
    django.setup()
    from realtime.publishing import log, positions, sequencer

    read, append = sequencer._entries, log.append

    def read_and_pause(*arguments):
        entries = read(*arguments)
        pause("read")
        return entries

    def append_and_pause(entries):
        append(entries)
        pause("written")

    sequencer._entries = read_and_pause
    log.append = append_and_pause
    while True:
        pause("idle")
        sequencer.sequence(positions.probe())


if __name__ == "__main__":
    main()
