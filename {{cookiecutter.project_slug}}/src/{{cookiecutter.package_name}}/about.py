"""What the app is called: the page's title and the workbook's properties say it."""

TITLE = "{{ cookiecutter.project_name }}"
