"""The link between the machine and a host: a UART, and packets with checksums."""
