"""The demo of two real applications: django-oscar becomes Medusa, both installed from their packages and in use."""
