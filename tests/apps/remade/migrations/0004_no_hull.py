from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("remade", "0003_pier_is_dock")]
    operations = [migrations.RemoveField("Berth", "hull")]
