import os, platform, yaml

settings = yaml.safe_load("epochs: 3")
rank, tasks = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
for epoch in range(settings["epochs"]):
    print(f"task {rank} of {tasks}, epoch {epoch}: python {platform.python_version()} as uid {os.getuid()}, yaml {yaml.__version__}")
