# What one host may have signed for its services, whose names are not its own.
