from django.db import migrations, models


def write(apps, schema_editor) -> None:
    """Change rows while the table has no triggers."""
    apps.get_model("remade", "Berth").objects.update(note="written by a migration")


class Migration(migrations.Migration):
    dependencies = [("remade", "0001_initial")]
    operations = [
        # SQLite makes the table anew for this, and forgets its triggers.
        migrations.AlterField("Berth", "name", models.CharField(max_length=40)),
        migrations.RunPython(write, migrations.RunPython.noop),
    ]
