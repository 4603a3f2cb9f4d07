"""What makes capture cheaper for writers on SQLite: a number as time, and no check of what triggers write."""

import realtime.models
from django.db import migrations, models


def begin_anew(apps, schema_editor):
    """Forget how far sequencing came: SQLite rebuilds the outbox, whose ids may start again from one."""
    apps.get_model("realtime", "Sequencer").objects.using(schema_editor.connection.alias).all().delete()


class Migration(migrations.Migration):

    dependencies = [
        ('realtime', '0005_seen'),
    ]

    operations = [
        migrations.RunPython(begin_anew, migrations.RunPython.noop),
        migrations.RemoveField(
            model_name='outboxrow',
            name='written_at',
        ),
        migrations.AddField(
            model_name='outboxrow',
            name='written_at',
            field=models.FloatField(db_default=realtime.models.SecondsNow(), help_text="When the row was written, in seconds since 1970, by the database's clock."),
        ),
        migrations.AlterField(
            model_name='outboxrow',
            name='image',
            field=realtime.models.TrustedJSONField(help_text='Key and topic columns of the row; null: any row of the table may have changed.', null=True),
        ),
    ]
