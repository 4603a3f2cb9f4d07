from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('realtime', '0004_verified'),
    ]

    operations = [
        migrations.AddField(
            model_name='triggerclaim',
            name='seen',
            field=models.CharField(db_default='', help_text="What table and trigger were when the table's feeds were last told to read it; empty for never.", max_length=64),
        ),
    ]
