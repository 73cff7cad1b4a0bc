"""Commands of a terminal. They start jobs and read what runs left behind; nothing imports them."""
