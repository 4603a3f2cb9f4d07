"""A project that installs the app alone: without the boards, without this project's templates and settings."""
