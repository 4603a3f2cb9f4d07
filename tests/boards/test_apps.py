"""The demo as an app."""

from django.apps import apps


def test_the_demo_has_a_label_of_its_own():
    """Its tables and permissions begin with it, and do not mix with those of ``realtime``."""
    boards = apps.get_app_config("boards")

    assert boards.name == "realtime.boards"
    assert {model._meta.db_table.split("_")[0] for model in boards.get_models(include_auto_created=True)} == {
        "boards"
    }
