from django.db import migrations, models

import realtime.models


def begin_anew(apps, schema_editor):
    """Forget how far sequencing came: rebuilding the outbox may start its ids again from one."""
    apps.get_model("realtime", "Sequencer").objects.using(schema_editor.connection.alias).all().delete()


class Migration(migrations.Migration):

    dependencies = [
        ("realtime", "0001_initial"),
    ]

    operations = [
        migrations.RunPython(begin_anew, migrations.RunPython.noop),
        migrations.RenameField("sequencer", "machine", "origin"),
        migrations.AlterField(
            "sequencer",
            "origin",
            models.CharField(blank=True, help_text="What positions rest on; with another origin they may repeat.", max_length=64),
        ),
        migrations.AlterField(
            "sequencer",
            "next",
            models.BigIntegerField(default=1, help_text="All outbox rows with a lower stamp are sequenced, except those in ``open``."),
        ),
        migrations.AddField(
            "sequencer",
            "open",
            models.JSONField(default=list, help_text="Stamps below ``next`` whose outbox rows are not sequenced yet."),
        ),
        migrations.AddField(
            "outboxrow",
            "xid",
            models.BigIntegerField(
                db_default=realtime.models.WritersTransaction(), help_text="The writer's transaction, on PostgreSQL.", null=True
            ),
        ),
        migrations.AddIndex(
            "outboxrow",
            models.Index(condition=models.Q(("xid__isnull", False)), fields=["xid"], name="realtime_outbox_xid"),
        ),
    ]
