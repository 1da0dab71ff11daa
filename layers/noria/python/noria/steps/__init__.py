"""One module per Lambda step, same name: Request, Result, one function; I/O through ports, no arithmetic."""
