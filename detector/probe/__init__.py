"""The probe: packets in, rows out. Reads as `packets -> headers -> links -> SIP, TCP -> rows`."""
