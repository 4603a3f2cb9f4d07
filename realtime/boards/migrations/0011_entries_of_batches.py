import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("boards", "0010_charts")]

    operations = [
        migrations.AddField(model_name="batch", name="entries", field=models.JSONField(default=list)),
        migrations.RenameField(model_name="guest", old_name="made_at", new_name="opened_at"),
        migrations.AlterField(
            model_name="guest",
            name="opened_at",
            field=models.DateTimeField(db_index=True, default=django.utils.timezone.now),
        ),
    ]
