"""`make up`, `make restart` and `make down`: the containers of docker-compose.yml, checked before and shown after."""
