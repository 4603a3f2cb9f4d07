"""A sequencer in a process of its own that goes on only when it is told to: ``python -m tests.contract.stepper``.

It says where it is and waits for a line: ``idle``, ``read`` (the snapshot is read, nothing is locked yet),
``written`` (not committed yet).
"""

import sys

import django


def pause(name: str) -> None:
    print(name, flush=True)
    if not sys.stdin.readline():
        sys.exit()


def main() -> None:
    django.setup()
    from django.db.models import QuerySet

    from realtime.models import LogEntry
    from realtime.publishing import positions, sequencer

    read, create = sequencer._entries, QuerySet.bulk_create

    def read_and_pause(*arguments):
        entries = read(*arguments)
        pause("read")
        return entries

    def create_and_pause(self, *arguments, **options):
        created = create(self, *arguments, **options)
        if self.model is LogEntry:
            pause("written")
        return created

    sequencer._entries = read_and_pause
    QuerySet.bulk_create = create_and_pause
    while True:
        pause("idle")
        sequencer.sequence(positions.probe())


if __name__ == "__main__":
    main()
