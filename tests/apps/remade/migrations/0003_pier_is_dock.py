from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("remade", "0002_wider_name")]
    operations = [migrations.RenameField("Berth", "pier", "dock")]
