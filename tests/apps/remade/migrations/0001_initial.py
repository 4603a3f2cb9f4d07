from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Berth",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False, auto_created=True)),
                ("name", models.CharField(max_length=20)),
                ("pier", models.IntegerField(default=1)),
                ("hull", models.IntegerField(default=1)),
                ("note", models.TextField(blank=True, default="")),
            ],
        ),
    ]
