"""What a route gets: the database port of the application that serves it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from app.post_audit.ports import Database

__all__ = ["DatabaseOfRequest"]


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


DatabaseOfRequest = Annotated[Database, Depends(_database)]
