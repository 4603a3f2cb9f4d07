"""Statuses of a board's own, organisations, languages, and which columns boards show."""

import django.db.models.deletion
import realtime.boards.languages
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("boards", "0014_voices")]

    operations = [
        migrations.CreateModel(
            name='Logo',
            fields=[
                ('digest', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('content_type', models.CharField(max_length=40)),
                ('content', models.BinaryField()),
            ],
        ),
        migrations.AddField(
            model_name='board',
            name='language',
            field=models.CharField(blank=True, db_default='', default='', help_text='Dates, fixed headings and standard statuses on the board are in this language.', max_length=10, validators=[realtime.boards.languages.validate_language], verbose_name='language'),
        ),
        migrations.AddField(
            model_name='board',
            name='shows_note',
            field=models.BooleanField(db_default=True, default=True, verbose_name='notes are shown'),
        ),
        migrations.AddField(
            model_name='board',
            name='shows_status',
            field=models.BooleanField(db_default=True, default=True, verbose_name='statuses are shown'),
        ),
        migrations.AddField(
            model_name='board',
            name='shows_updated',
            field=models.BooleanField(db_default=True, default=True, verbose_name='times of changes are shown'),
        ),
        migrations.AddField(
            model_name='board',
            name='shows_value',
            field=models.BooleanField(db_default=True, default=True, verbose_name='values are shown'),
        ),
        migrations.CreateModel(
            name='Organisation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=80, verbose_name='name')),
                ('logo', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='organisations', to='boards.logo')),
            ],
            options={
                'verbose_name': 'organisation',
                'verbose_name_plural': 'organisations',
                'ordering': ['name', 'pk'],
            },
        ),
        migrations.AddField(
            model_name='board',
            name='organisation',
            field=models.ForeignKey(blank=True, help_text='Its name and logo stand above the title.', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='boards', to='boards.organisation', verbose_name='organisation'),
        ),
        migrations.CreateModel(
            name='BoardStatus',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(blank=True, editable=False, max_length=20)),
                ('word', models.CharField(max_length=40, verbose_name='word')),
                ('colour', models.CharField(choices=[('grey', 'Grey'), ('ok', 'Green'), ('info', 'Blue'), ('warning', 'Amber'), ('critical', 'Red'), ('teal', 'Teal'), ('violet', 'Violet'), ('pink', 'Pink')], db_default='grey', default='grey', max_length=10, verbose_name='colour')),
                ('icon', models.CharField(blank=True, choices=[('check', 'Check mark'), ('cross', 'Cross'), ('alert', 'Exclamation mark'), ('question', 'Question mark'), ('clock', 'Clock'), ('pause', 'Pause'), ('play', 'Arrow to the right'), ('up', 'Arrow up'), ('down', 'Arrow down'), ('stop', 'No entry'), ('lock', 'Lock'), ('star', 'Star')], db_default='', default='', max_length=10, verbose_name='icon')),
                ('position', models.PositiveSmallIntegerField(db_default=10, default=10, help_text='From the best to the worst.', verbose_name='order')),
                ('board', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='statuses', to='boards.board')),
            ],
            options={
                'verbose_name': 'status',
                'verbose_name_plural': 'statuses',
                'ordering': ['position', 'pk'],
                'constraints': [models.UniqueConstraint(fields=('board', 'name'), name='boards_status_name')],
            },
        ),
        migrations.AddField(
            model_name='entry',
            name='language',
            field=models.CharField(db_default='', default='', editable=False, max_length=10),
        ),
        migrations.AddField(
            model_name='entry',
            name='look',
            field=models.CharField(db_default='', default='', editable=False, max_length=90),
        ),
    ]
